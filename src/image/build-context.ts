import { type Step, type StepHost, type StepResult, WORK_PATH } from '../capture/mod.ts'
import {
  type Command,
  type Environment,
  type InputEntry,
  type OutputEntry,
  type OutputRole,
  type Reference,
  sha256,
  uuidV5,
} from '../core/mod.ts'
import type { Recipe } from './recipe-schema.ts'

export type Architecture = 'amd64' | 'arm64'

/** What every stage of a build works with. */
export interface BuildContext {
  readonly recipe: Recipe
  readonly arch: Architecture
  /** The one clock of the image: seconds since 1970. */
  readonly epoch: number
  readonly host: StepHost
  /** Runs a step and keeps its result in the order of the build. */
  step(step: Step): Promise<StepResult>
  /** Every step so far, in the order they ran. */
  readonly results: readonly StepResult[]
}

/** Namespace of the ids inside images: `UUIDv5(seed, role)`, never a random one. */
const IMAGE_NAMESPACE = '5b1b1e5a-0c55-5d8e-9a52-6e1a1c6f7e10'

/** The seed of an image: every id in it derives from this and a role such as `gpt-disk`. */
export function imageSeed(...parts: readonly string[]): string {
  return uuidV5(IMAGE_NAMESPACE, sha256(parts.join('\0')))
}

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** The environment of every command of a build, complete: reference determinism.md §1. */
const VARIABLES: Readonly<Record<string, string>> = {
  DEBIAN_FRONTEND: 'noninteractive',
  HOME: '/nonexistent',
  INITRD: 'No', // the kernel package's hooks make no initramfs: that is a step of its own
  LC_ALL: 'C.UTF-8',
  MTOOLSRC: '/dev/null',
  PATH,
  PERL_HASH_SEED: '0',
  PYTHONHASHSEED: '0',
  TZ: 'UTC',
}

export interface CommandStep {
  readonly name: string
  readonly argv: readonly string[]
  /** The tree it runs in. */
  readonly root: Reference
  readonly inputs?: readonly InputEntry[]
  /** Trees that are input and output: name → where the command sees it. */
  readonly roots?: Readonly<Record<string, string>>
  readonly network?: 'none' | 'declared'
  readonly variables?: Readonly<Record<string, string>>
  readonly outputRoles?: Readonly<Record<string, OutputRole>>
}

export function commandStep(context: Pick<BuildContext, 'arch' | 'epoch'>, spec: CommandStep): Step {
  const command: Command = {
    argv: spec.argv,
    cwd: WORK_PATH,
    expectExit: [0],
    ...(spec.roots === undefined ? {} : { roots: spec.roots }),
  }
  const environment: Environment = {
    arch: context.arch,
    network: spec.network ?? 'none',
    umask: 0o022,
    sourceDateEpoch: context.epoch,
    vars: { ...VARIABLES, ...spec.variables },
    rootRef: spec.root,
    uid: 0,
    gid: 0,
    hostname: 'localhost',
  }
  const roles = spec.outputRoles === undefined ? {} : { outputRoles: spec.outputRoles }
  return { name: spec.name, command, environment, inputs: spec.inputs ?? [], ...roles }
}

export function builtinStep(
  context: Pick<BuildContext, 'arch' | 'epoch'>,
  spec: {
    readonly name: string
    readonly builtin: string
    readonly inputs: readonly InputEntry[]
    readonly network?: 'none' | 'declared'
  },
): Step {
  return {
    name: spec.name,
    command: { builtin: spec.builtin, cwd: '/', expectExit: [0] },
    environment: {
      arch: context.arch,
      network: spec.network ?? 'none',
      umask: 0o022,
      sourceDateEpoch: context.epoch,
      vars: {},
    },
    inputs: spec.inputs,
  }
}

/** A shell script as an argument vector: `set -eu`, and every argument as a positional parameter. */
export function shellScript(script: string, ...args: readonly string[]): readonly string[] {
  return ['/bin/sh', '-euc', script.trim(), 'sh', ...args]
}

export function treeInput(name: string, ref: Reference): InputEntry {
  return { name, role: 'tree', ref }
}

/** An output of an earlier step as an input of the next one, under another name where wanted. */
export function asInput(entry: OutputEntry, name: string = entry.name): InputEntry {
  const role = entry.role === 'tree' ? 'tree' : 'file'
  return { name, role, ref: entry.ref, ...(entry.size === undefined ? {} : { size: entry.size }) }
}
