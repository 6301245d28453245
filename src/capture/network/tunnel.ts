import type { Socket } from 'node:net'

export interface TunnelTraffic {
  readonly sentBytes: number
  readonly receivedBytes: number
}

/**
 * Passes bytes both ways, unseen but counted, until both sides have ended or one of them breaks off.
 * @param head what the client had sent behind its CONNECT
 */
export function runTunnel(client: Socket, remote: Socket, head: Buffer, idleTimeoutMs: number): Promise<TunnelTraffic> {
  return new Promise(resolve => {
    let sentBytes = head.length
    let receivedBytes = 0
    const sockets = [client, remote] as const
    const breakOff = (): void => {
      for (const socket of sockets) socket.destroy()
    }
    let open = sockets.length
    for (const socket of sockets) {
      socket.on('error', breakOff)
      // A side that is cut takes the other along; one that ended in order has passed on its end already.
      socket.on('close', hadError => {
        if (hadError || !socket.readableEnded) breakOff()
        if (--open === 0) resolve({ sentBytes, receivedBytes })
      })
      socket.setTimeout(idleTimeoutMs, breakOff)
    }
    client.on('data', piece => {
      sentBytes += piece.length
    })
    remote.on('data', piece => {
      receivedBytes += piece.length
    })
    client.write('HTTP/1.1 200 Connection established\r\n\r\n')
    if (head.length > 0) remote.write(head)
    client.pipe(remote)
    remote.pipe(client)
  })
}
