/** A recorder on a loopback port with a store in memory, and plain clients for it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { type Agent, type IncomingHttpHeaders, request } from 'node:http'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { keepIn, openRecorder, type Recorder, type RecorderOptions } from '../../src/capture/mod.ts'
import { memoryStore, type Store } from '../../src/store/mod.ts'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

export interface RecorderUnderTest {
  readonly recorder: Recorder
  readonly store: Store
  readonly port: number
  /** Asks for a URL through the recorder. Rejects when the connection is cut. */
  ask(url: string, options?: AskOptions): Promise<Answer>
  /** Sends bytes and returns all that comes back until the recorder hangs up. */
  raw(bytes: string | Buffer): Promise<string>
  close: Recorder['close']
}

export interface AskOptions {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly agent?: Agent
  readonly body?: string
}

export async function startRecorder(
  options: Partial<RecorderOptions> & { readonly store?: Store } = {},
): Promise<RecorderUnderTest> {
  const folder = mkdtempSync(join(tmpdir(), 'asl-recorder-'))
  const store = options.store ?? memoryStore()
  const recorder = openRecorder({
    mode: 'record',
    keep: keepIn(store),
    spoolParent: folder,
    ...options,
    limits: { attempts: 3, backoffMs: 1, quietMs: 1, ...options.limits },
    store,
  })
  const listener = createServer()
  await new Promise<void>(resolve => listener.listen(0, '127.0.0.1', resolve))
  const { port } = listener.address() as AddressInfo
  recorder.attach(listener)
  return {
    recorder,
    store,
    port,
    ask: (url, askOptions) => ask(port, url, askOptions),
    raw: bytes => talk(port, bytes),
    close: async () => {
      try {
        return await recorder.close()
      } finally {
        rmSync(folder, { recursive: true, force: true })
      }
    },
  }
}

function ask(port: number, url: string, options: AskOptions = {}): Promise<Answer> {
  const { method = 'GET', headers = {}, agent, body } = options
  return new Promise((resolve, reject) => {
    const sent = request({
      host: '127.0.0.1',
      port,
      path: url,
      method,
      headers: { host: new URL(url).host, ...headers },
      agent: agent ?? false,
    })
    sent.on('error', reject)
    sent.on('response', response => {
      const pieces: Buffer[] = []
      response.on('data', (piece: Buffer) => pieces.push(piece))
      response.on('error', reject)
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(pieces) }),
      )
    })
    sent.end(body)
  })
}

function talk(port: number, bytes: string | Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    const pieces: Buffer[] = []
    socket.on('data', piece => pieces.push(piece))
    socket.on('error', reject)
    socket.on('close', () => resolve(Buffer.concat(pieces).toString('latin1')))
  })
}
