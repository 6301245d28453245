import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { isAslError } from '../core/mod.ts'
import { listenInNamespace } from './namespace-listener.ts'
import { findTool, TOOL_ENV } from './tools.ts'

const NETWORK = ['unshare', '--net']
/** An ordinary user has to enter the user namespace too. */
const AS_NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']
const USER_AND_NETWORK = ['unshare', '--user', '--map-root-user', '--net']

for (const [name, prefix] of [
  ['a network namespace', NETWORK],
  ['a network namespace inside a user namespace', USER_AND_NETWORK],
  ['the network namespace of another user', [...AS_NOBODY, ...USER_AND_NETWORK]],
] as const) {
  test(`listenInNamespace() serves a program in ${name}, whose lo was down`, {
    skip: skipped('unshare', 'setpriv'),
  }, async () => {
    await inNamespace(prefix, async (pid, shell) => {
      const server = await listenInNamespace({ pid, address: '127.0.0.1', port: 3128 })
      try {
        server.on('connection', socket => socket.end('from outside\n'))
        shell.go()
        assert.equal(await shell.nextLine(), 'from outside')
      } finally {
        server.close()
      }
    })
  })
}

test('listenInNamespace() works for an ordinary user who owns the namespaces', {
  skip: skippedAsNobody(),
}, async () => {
  await inNamespace([...AS_NOBODY, ...USER_AND_NETWORK], async (pid, shell) => {
    const listener = spawn(
      'setpriv',
      [...AS_NOBODY.slice(1), process.execPath, '--input-type=module', '--eval', LISTENER],
      {
        env: { ...TOOL_ENV, PID: String(pid), MODULE: join(import.meta.dirname, 'namespace-listener.ts') },
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    )
    const closed = once(listener, 'close')
    try {
      await once(listener.stdout, 'data')
      shell.go()
      assert.equal(await shell.nextLine(), 'from uid 65534')
    } finally {
      listener.kill('SIGKILL')
      await closed
    }
  })
})

test('listenInNamespace() names the process when it is gone', { skip: skipped() }, async () => {
  await assert.rejects(
    listenInNamespace({ pid: 2 ** 22 + 1, address: '127.0.0.1', port: 3128 }),
    error => isAslError(error, 'HOST_UNSUPPORTED') && /4194305/.test(error.message),
  )
})

test('listenInNamespace() says so when the port is taken', { skip: skipped('unshare') }, async () => {
  await inNamespace(NETWORK, async pid => {
    const first = await listenInNamespace({ pid, address: '127.0.0.1', port: 3128 })
    try {
      await assert.rejects(
        listenInNamespace({ pid, address: '127.0.0.1', port: 3128 }),
        error => isAslError(error, 'HOST_UNSUPPORTED') && /EADDRINUSE/.test(error.message),
      )
    } finally {
      first.close()
    }
  })
})

/** A shell in new namespaces that waits for a line, then connects to 127.0.0.1:3128 and prints what it is told. */
async function inNamespace(prefix: readonly string[], body: (pid: number, shell: Shell) => Promise<void>) {
  const script = 'echo $BASHPID; read -r line; exec 3<>/dev/tcp/127.0.0.1/3128; cat <&3'
  const [program, ...args] = [...prefix, 'bash', '-c', script]
  const child = spawn(program!, args, { stdio: ['pipe', 'pipe', 'inherit'], env: TOOL_ENV })
  const closed = once(child, 'close')
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  try {
    const pid = Number((await lines.next()).value)
    await body(pid, {
      go: () => void child.stdin.write('go\n'),
      nextLine: async () => (await lines.next()).value ?? '',
    })
  } finally {
    child.kill('SIGKILL')
    await closed
  }
}

/** Listens in the namespace of `$PID` and greets whoever connects. */
const LISTENER = `
  const { listenInNamespace } = await import(process.env.MODULE)
  const server = await listenInNamespace({ pid: Number(process.env.PID), address: '127.0.0.1', port: 3128 })
  server.on('connection', socket => socket.end('from uid ' + process.getuid() + '\\n'))
  console.log('listening')
`

function skippedAsNobody(): string | false {
  if (process.getuid?.() !== 0) return 'only root can become another user here'
  const readable = spawnSync('setpriv', [
    ...AS_NOBODY.slice(1),
    'test',
    '-r',
    import.meta.filename,
    '-a',
    '-x',
    process.execPath,
  ])
  return readable.status === 0 ? skipped('setpriv', 'unshare') : 'other users cannot read this checkout'
}

interface Shell {
  go(): void
  nextLine(): Promise<string>
}

function skipped(...tools: readonly string[]): string | false {
  const missing = ['nsenter', 'bash', ...tools].find(tool => findTool(tool) === undefined)
  return missing === undefined ? false : `${missing} is missing`
}
