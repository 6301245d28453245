import { type LookupAddress, type LookupOptions, lookup } from 'node:dns'
import { BlockList, isIP } from 'node:net'
import { AslError } from '../../core/mod.ts'

/**
 * Addresses that mean *this machine or this link*: loopback, unspecified, link-local (where clouds serve their
 * metadata), multicast. The recorder runs outside the sandbox, so without this guard a step could reach the services
 * of the build host through it. RFC 6890, RFC 5771, RFC 4291.
 */
const MACHINE_LOCAL = new BlockList()
for (const [net, prefix] of [
  ['0.0.0.0', 8],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['224.0.0.0', 4],
  ['255.255.255.255', 32],
] as const) {
  MACHINE_LOCAL.addSubnet(net, prefix, 'ipv4')
}
for (const [net, prefix] of [
  ['::', 128],
  ['::1', 128],
  ['fe80::', 10],
  ['ff00::', 8],
] as const) {
  MACHINE_LOCAL.addSubnet(net, prefix, 'ipv6')
}

export function isMachineLocal(address: string): boolean {
  const family = isIP(address)
  return family !== 0 && MACHINE_LOCAL.check(address, family === 6 ? 'ipv6' : 'ipv4')
}

/** @throws AslError NETWORK_REFUSED when the host is written as such an address; names are judged once resolved */
export function refuseMachineLocal(hostname: string): void {
  const bare = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
  if (isMachineLocal(bare)) throw refused(hostname, bare)
}

type LookupCallback = (error: Error | null, address: string | LookupAddress[], family?: number) => void

/**
 * `dns.lookup` that refuses a name as soon as one of its addresses is machine-local. It judges the very addresses that
 * are then connected to, so a name that resolves differently the second time gains nothing.
 */
export function guardedLookup(hostname: string, options: LookupOptions, callback: LookupCallback): void {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error !== null) return callback(error, [])
    const local = addresses.find(({ address }) => isMachineLocal(address))
    const [first] = addresses
    if (local !== undefined) callback(refused(hostname, local.address), [])
    else if (options.all === true || first === undefined) callback(null, addresses)
    else callback(null, first.address, first.family)
  })
}

function refused(hostname: string, address: string): AslError {
  return new AslError('NETWORK_REFUSED', `Refused ${hostname}: ${address} is this machine or its own link`, {
    hint: 'A step reaches no service of the build host. Configure it as a mirror if that is what it is.',
    details: { host: hostname, address },
  })
}
