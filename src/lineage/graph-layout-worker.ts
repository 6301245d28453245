import { parentPort, workerData } from 'node:worker_threads'
import { instance } from '@viz-js/viz'

/** Runs in a thread: DOT in, Graphviz's JSON out. */
const viz = await instance()
parentPort?.postMessage(viz.renderJSON(String(workerData), { engine: 'dot' }))
