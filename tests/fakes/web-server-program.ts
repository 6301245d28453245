/** A web server in a process of its own: `/SIZE/NAME` has SIZE bytes. Prints its base, ends with its standard input. */
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const PIECE = Buffer.alloc(256 * 1024, 'asl ')

const server = createServer((request, response) => {
  const [, size = '0', name = ''] = (request.url ?? '').split('/')
  let left = Number(size)
  response.setHeader('content-length', left)
  // The first bytes depend on the name, so that no two files are one artifact.
  const first = createHash('sha256').update(name).digest().subarray(0, left)
  left -= first.length
  response.write(first)
  const pump = (): void => {
    while (left > 0) {
      const piece = left >= PIECE.length ? PIECE : PIECE.subarray(0, left)
      left -= piece.length
      if (!response.write(piece) && left > 0) {
        response.once('drain', pump)
        return
      }
    }
    response.end()
  }
  pump()
})
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`)
})
process.stdin.resume()
process.stdin.on('end', () => {
  server.closeAllConnections()
  server.close()
})
