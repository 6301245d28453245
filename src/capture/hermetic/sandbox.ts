import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { AslError } from '../../core/mod.ts'
import { type ChildProcess, findTool, type RunResult, run, runTool, TOOL_ENV } from '../../sys/mod.ts'
import { isInitialUserNamespace } from './namespace.ts'
import { INPUT_PATH, OUTPUT_PATH, WORK_PATH } from './step.ts'

/**
 * The sandbox of one step: an overlay over frozen layers as root, own pid, uts, ipc and net namespaces, fixed host
 * name and umask, an environment given in full. The caller is in a mount namespace of its own (see `namespace.ts`),
 * so a killed asl leaves no mount behind. bubblewrap assembles the namespaces.
 */
export interface SandboxSpec {
  /** An empty folder on a file system that can hold an overlay's upper layer. */
  readonly folder: string
  /** Layers of the root, topmost first. */
  readonly root: readonly string[]
  readonly inputs: readonly SandboxInput[]
  /** Trees that are input before and output after: mounted writable at `at`, or the root itself for `/`. */
  readonly roots: readonly { readonly name: string; readonly at: string; readonly layers: readonly string[] }[]
  readonly env: Readonly<Record<string, string>>
  readonly umask: number
  readonly hostname: string
}

/** A frozen tree (`layers`) or one file (`file`) of the host, shown read-only at `at`. */
export type SandboxInput =
  | { readonly kind: 'tree'; readonly at: string; readonly layers: readonly string[] }
  | { readonly kind: 'file'; readonly at: string; readonly file: string }

export interface Sandbox {
  run(argv: readonly string[], options: SandboxRunOptions): Promise<RunResult>
  /** The upper layer of a root: what the command changed. */
  upperOf(name: string): string
  /** What the command left under `/work/out`: plain files and folders. */
  readonly outputFolder: string
  /** The mounted root as the host sees it: what an observer marks. */
  readonly mergedRoot: string
  close(): Promise<void>
}

export interface SandboxRunOptions {
  readonly cwd: string
  readonly stdin?: Uint8Array | number
  readonly stdout: number | 'inherit'
  readonly stderr: number | 'inherit'
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
  /** Called with the pid of a process inside, before the command starts: to give the network namespace its one door. */
  readonly beforeStart?: (pid: number) => Promise<void>
}

const ROOT = '/'

export async function openSandbox(spec: SandboxSpec): Promise<Sandbox> {
  const mounted: string[] = []
  const scratch = (...parts: string[]): string => {
    const path = join(spec.folder, ...parts)
    mkdirSync(path, { recursive: true })
    return path
  }
  const overlay = async (name: string, lower: readonly string[], isWritable: boolean): Promise<string> => {
    const merged = scratch(name, 'merged')
    const upper = isWritable ? { upperdir: scratch(name, 'upper'), workdir: scratch(name, 'work') } : undefined
    const empty = lower.length === 0 || (!isWritable && lower.length === 1) ? [scratch(name, 'empty')] : []
    await mountOverlay([...lower, ...empty], upper, merged)
    mounted.unshift(merged)
    return merged
  }
  const close = async (): Promise<void> => {
    for (const path of mounted.splice(0)) await runTool(['umount', '--lazy', path], { env: TOOL_ENV })
  }
  try {
    const rootName = spec.roots.find(root => root.at === ROOT)?.name
    const mergedRoot = await overlay('root', spec.root, true)
    const work = await overlay('work-folder', [prepareWorkFolder(spec, scratch('work-folder', 'base'))], true)
    const binds: string[] = ['--bind', mergedRoot, ROOT, '--proc', '/proc', '--dev', '/dev', '--bind', work, WORK_PATH]
    for (const folder of ['/tmp', '/var/tmp'])
      binds.push('--bind', prepareTemp(scratch(`tmp${folder.replaceAll('/', '-')}`)), folder)
    for (const [i, input] of spec.inputs.entries()) {
      const source = input.kind === 'file' ? input.file : await overlay(`input-${i}`, input.layers, false)
      binds.push('--ro-bind', source, input.at)
    }
    for (const root of spec.roots) {
      if (root.at !== ROOT) binds.push('--bind', await overlay(`root-${root.name}`, root.layers, true), root.at)
    }
    return {
      mergedRoot,
      outputFolder: join(spec.folder, 'work-folder', 'upper', 'out'),
      upperOf: name => join(spec.folder, name === rootName ? 'root' : `root-${name}`, 'upper'),
      run: (argv, options) => runInside(spec, binds, argv, options),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

async function runInside(
  spec: SandboxSpec,
  binds: readonly string[],
  argv: readonly string[],
  options: SandboxRunOptions,
): Promise<RunResult> {
  const bwrap = findTool('bwrap')
  if (bwrap === undefined) {
    throw new AslError('TOOL_MISSING', 'Cannot make a sandbox: bwrap is not installed', {
      hint: "Install the package 'bubblewrap' (Debian, Ubuntu, Fedora).",
    })
  }
  const isolation = ['--unshare-pid', '--unshare-uts', '--unshare-ipc', '--unshare-net', '--unshare-cgroup-try']
  const variables = Object.entries(spec.env).flatMap(([name, value]) => ['--setenv', name, value])
  const gate = options.beforeStart === undefined ? [] : ['--info-fd', '3', '--block-fd', '4']
  const words = [
    bwrap,
    ...binds,
    ...isolation,
    ...['--hostname', spec.hostname, '--cap-add', 'ALL', '--die-with-parent', '--chdir', options.cwd],
    ...['--clearenv', ...variables],
    ...gate,
    ...['--', ...argv],
  ]
  const { beforeStart, signal, stdin, timeoutMs } = options
  const previousUmask = process.umask(spec.umask)
  try {
    return await run(words, {
      env: TOOL_ENV,
      stdout: options.stdout,
      stderr: options.stderr,
      ...(stdin === undefined ? {} : { stdin }),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      ...(signal === undefined ? {} : { signal }),
      ...(beforeStart === undefined ? {} : { extraPipes: 2, onStart: child => void openGate(child, beforeStart) }),
    })
  } finally {
    process.umask(previousUmask)
  }
}

/** bwrap says on its info pipe which process is inside, and waits on the block pipe until we say go. */
async function openGate(child: ChildProcess, beforeStart: (pid: number) => Promise<void>): Promise<void> {
  const [info, block] = [child.stdio[3], child.stdio[4]] as [NodeJS.ReadableStream, NodeJS.WritableStream]
  for (const pipe of [info, block]) pipe.on('error', () => {}) // how the command ended says all there is to say
  let said = ''
  for await (const chunk of info) {
    said += String(chunk)
    if (said.includes('}')) break
  }
  if (!said.includes('}')) return // bwrap has failed: its exit status and message tell why
  try {
    await beforeStart((JSON.parse(said) as { 'child-pid': number })['child-pid'])
    block.end('.') // one byte: bwrap reads no more and closes
  } catch {
    child.kill('SIGKILL')
  }
}

async function mountOverlay(
  lower: readonly string[],
  upper: { readonly upperdir: string; readonly workdir: string } | undefined,
  at: string,
): Promise<void> {
  // The same behaviour for root and for user namespaces: no index, no redirects, no metadata-only copies. `volatile`
  // leaves out every fsync: durability is the store's job, and a crashed step is run again.
  const mode = isInitialUserNamespace() ? ['index=off', 'metacopy=off', 'redirect_dir=off', 'xino=off'] : ['userxattr']
  const options = [
    `lowerdir=${lower.map(escapeLayer).join(':')}`,
    ...(upper === undefined ? [] : [`upperdir=${upper.upperdir}`, `workdir=${upper.workdir}`, 'volatile']),
    ...mode,
  ]
  await runTool(['mount', '-t', 'overlay', 'overlay', '-o', options.join(','), at], { env: TOOL_ENV })
}

function escapeLayer(path: string): string {
  return path.replace(/[\\:,]/g, character => `\\${character}`)
}

/** `/work` with a mount point for each input; it lies below an overlay of its own, so that no fsync reaches the disk. */
function prepareWorkFolder(spec: SandboxSpec, base: string): string {
  const inside = (at: string): string => join(base, at.slice(WORK_PATH.length))
  for (const path of [INPUT_PATH, OUTPUT_PATH]) mkdirSync(inside(path), { recursive: true })
  for (const input of spec.inputs) {
    if (input.kind === 'tree') mkdirSync(inside(input.at), { recursive: true })
    else {
      mkdirSync(dirname(inside(input.at)), { recursive: true })
      writeFileSync(inside(input.at), '')
    }
  }
  for (const root of spec.roots) {
    if (root.at.startsWith(`${WORK_PATH}/`)) mkdirSync(inside(root.at), { recursive: true })
  }
  return base
}

function prepareTemp(path: string): string {
  chmodSync(path, 0o1777)
  return path
}
