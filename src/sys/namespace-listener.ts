import { readFileSync, statSync } from 'node:fs'
import { Server } from 'node:net'
import { join } from 'node:path'
import { AslError, messageOf } from '../core/mod.ts'
import { describeEnd, run } from './run.ts'
import { findTool, TOOL_ENV } from './tools.ts'

export interface ListenRequest {
  readonly address: string
  readonly port: number
}

/** What the child says, with the listening socket beside it when it succeeded. */
export type ListenAnswer = { readonly isListening: true } | { readonly error: string }

export interface NamespaceListenerOptions extends ListenRequest {
  /** A process inside the network namespace; the caller keeps it alive meanwhile. */
  readonly pid: number
  readonly signal?: AbortSignal
}

const TIMEOUT_MS = 20_000

/** Linux capability 21: what setns(2) asks for. */
const CAP_SYS_ADMIN = 21n

/**
 * Listens on an address *inside another network namespace* and returns the listening server to this process, which
 * stays where it is. Works as root, and as the ordinary user who made the namespace inside a user namespace of its own.
 * No connection is accepted before this returns: the caller starts the namespace's programs afterwards.
 * @throws AslError TOOL_MISSING without nsenter; HOST_UNSUPPORTED when the namespace cannot be entered or listened in
 */
export async function listenInNamespace(options: NamespaceListenerOptions): Promise<Server> {
  const { pid, address, port } = options
  const nsenter = findTool('nsenter')
  if (nsenter === undefined) {
    throw new AslError('TOOL_MISSING', 'Cannot enter a network namespace: nsenter is not installed', {
      hint: 'Install the Debian package util-linux.',
    })
  }
  let server: Server | undefined
  let answer: ListenAnswer | undefined
  const argv = [
    nsenter,
    ...namespaceArguments(pid),
    process.execPath,
    join(import.meta.dirname, 'namespace-listener-child.ts'),
  ]
  try {
    const result = await run(argv, {
      env: TOOL_ENV,
      hasMessageChannel: true,
      timeoutMs: TIMEOUT_MS,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      onStart: child => {
        child.once('message', (message, handle) => {
          answer = message as ListenAnswer
          if (handle instanceof Server) server = handle
        })
        child.send({ address, port } satisfies ListenRequest, () => {}) // a child that is gone already shows below
      },
    })
    if (server !== undefined && result.exitCode === 0) return server
    const reason =
      answer !== undefined && 'error' in answer
        ? answer.error
        : `${describeEnd(result)} ${result.stderr.toString('utf8').trim()}`
    throw cannotListen(options, reason)
  } catch (error) {
    server?.close()
    throw error
  }
}

/**
 * Who holds CAP_SYS_ADMIN joins any namespace below at once. An ordinary user has to become the owner of the user
 * namespace first; where that forbids setgroups(2) — always, when an ordinary user made it — nsenter must not try it.
 */
function namespaceArguments(pid: number): string[] {
  const net = `--net=/proc/${pid}/ns/net`
  try {
    if (hasSystemAdmin() || isOwnUserNamespace(pid)) return [net]
    const isSetgroupsDenied = readFileSync(`/proc/${pid}/setgroups`, 'utf8').trim() === 'deny'
    return [`--user=/proc/${pid}/ns/user`, ...(isSetgroupsDenied ? ['--preserve-credentials'] : []), net]
  } catch (error) {
    throw new AslError('HOST_UNSUPPORTED', `Cannot read the namespaces of process ${pid}: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

function isOwnUserNamespace(pid: number): boolean {
  return statSync(`/proc/${pid}/ns/user`).ino === statSync('/proc/self/ns/user').ino
}

function hasSystemAdmin(): boolean {
  const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'
  return ((BigInt(`0x${mask}`) >> CAP_SYS_ADMIN) & 1n) === 1n
}

function cannotListen({ pid, address, port }: NamespaceListenerOptions, reason: string): AslError {
  return new AslError(
    'HOST_UNSUPPORTED',
    `Cannot listen on ${address}:${port} in the network namespace of process ${pid}: ${reason}`,
    { hint: 'The namespace must belong to this user, and nothing else may listen there.' },
  )
}
