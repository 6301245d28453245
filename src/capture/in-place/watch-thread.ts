import { workerData } from 'node:worker_threads'
import { answerKernel, type WatchThread } from './watch-loop.ts'

answerKernel(workerData as WatchThread)
