/**
 * A recorder over a store on disk, in a process of its own: `recorder-program.ts FOLDER UPSTREAM`. Prints its address;
 * when its standard input ends it closes, and prints what it kept and the memory it took at most.
 */
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { keepIn, openRecorder } from '../../src/capture/mod.ts'
import { initStore } from '../../src/store/mod.ts'

const [folder = '', upstream = ''] = process.argv.slice(2)
const store = initStore(join(folder, 'store'))
const recorder = openRecorder({
  mode: 'record',
  store,
  keep: keepIn(store),
  spoolParent: join(folder, 'spool'),
  mirrors: [{ logical: 'http://site.internal/', upstream }],
})
const listener = createServer()
listener.listen(0, '127.0.0.1', () => {
  process.stdout.write(`http://127.0.0.1:${(listener.address() as AddressInfo).port}\n`)
  recorder.attach(listener)
})
process.stdin.resume()
process.stdin.on('end', async () => {
  const { downloads } = await recorder.close()
  const storedBytes = downloads.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage()
  const maxRssMib = Math.round(maxRSS / 1024)
  const cpuMs = Math.round((userCPUTime + systemCPUTime) / 1000)
  process.stdout.write(`${JSON.stringify({ downloads: downloads.length, storedBytes, maxRssMib, cpuMs })}\n`)
  store.close()
})
