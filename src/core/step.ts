import { encodeJson, type Json } from './canonical-json.ts'
import { type Sha256, sha256Bytes } from './digest.ts'
import { AslError } from './error.ts'
import type { Reference } from './reference.ts'
import {
  bool,
  hash,
  list,
  mapOf,
  oneOf,
  optional,
  type RecordOf,
  record,
  reference,
  type Structure,
  sortedList,
  structure,
  text,
  uint,
} from './structure.ts'
import { wireWriter } from './wire.ts'

/** What a receipt names: command, inputs, environment, outputs, executor (reference §8.4). */

export type Command = RecordOf<typeof COMMAND_FIELDS>

const COMMAND_FIELDS = {
  /** Exactly one of `argv` and `builtin`. */
  argv: optional(list(text)),
  /** `op:<name>`: an operation of this project that runs no program. */
  builtin: optional(text),
  /** The working folder as the command sees it. */
  cwd: text,
  /** Exit statuses that count as success. */
  expectExit: sortedList(uint, value => value),
  /** Folders that are input before and output after the run: name → path as the command sees it. */
  roots: optional(mapOf(text)),
  /** Name of the input that is standard input. */
  stdin: optional(text),
  pty: optional(bool),
  timeoutS: optional(uint),
}

const commandLayout = structure('asl.command', COMMAND_FIELDS)

export const COMMAND: Structure<Command> = {
  ...commandLayout,
  decode(wire) {
    const command = commandLayout.decode(wire)
    if ((command.argv === undefined) === (command.builtin === undefined)) {
      throw new AslError('RECORD_INVALID', 'asl.command: wants exactly one of argv and builtin')
    }
    return command
  },
}

export const INPUT_ROLES = [
  'file',
  'script',
  'binary',
  'package',
  'download',
  'lock',
  'overlay',
  'tree',
  'receipt',
  'stdin',
] as const
export type InputRole = (typeof INPUT_ROLES)[number]

export const OUTPUT_ROLES = ['file', 'tree', 'image', 'manifest', 'stdout'] as const
export type OutputRole = (typeof OUTPUT_ROLES)[number]

const inputEntry = record({
  name: text,
  role: oneOf(...INPUT_ROLES),
  ref: reference,
  /** Content size; absent for trees and receipts. */
  size: optional(uint),
})
const outputEntry = record({
  name: text,
  role: oneOf(...OUTPUT_ROLES),
  ref: reference,
  size: optional(uint),
})

export type InputEntry = RecordOf<{
  name: typeof text
  role: ReturnType<typeof oneOf<InputRole>>
  ref: typeof reference
  size: ReturnType<typeof optional<number>>
}>
export type OutputEntry = Omit<InputEntry, 'role'> & { readonly role: OutputRole }

const INPUT_MANIFEST_FIELDS = { entries: sortedList(inputEntry, entry => entry.name) }
export type InputManifest = RecordOf<typeof INPUT_MANIFEST_FIELDS>
export const INPUT_MANIFEST: Structure<InputManifest> = structure('asl.input-manifest', INPUT_MANIFEST_FIELDS)

const OUTPUT_MANIFEST_FIELDS = {
  exitCode: optional(uint),
  signal: optional(text),
  timedOut: optional(bool),
  entries: sortedList(outputEntry, entry => entry.name),
}
export type OutputManifest = RecordOf<typeof OUTPUT_MANIFEST_FIELDS>
export const OUTPUT_MANIFEST: Structure<OutputManifest> = structure('asl.output-manifest', OUTPUT_MANIFEST_FIELDS)

const ENVIRONMENT_FIELDS = {
  arch: oneOf('amd64', 'arm64'),
  network: oneOf('none', 'declared', 'open'),
  umask: uint,
  sourceDateEpoch: uint,
  /** Complete but for SOURCE_DATE_EPOCH, which capture always sets from `sourceDateEpoch`. */
  vars: mapOf(text),
  /** The tree the command ran in; absent means the host's own root. */
  rootRef: optional(reference),
  uid: optional(uint),
  gid: optional(uint),
  hostname: optional(text),
}
export type Environment = RecordOf<typeof ENVIRONMENT_FIELDS>
export const ENVIRONMENT: Structure<Environment> = structure('asl.environment', ENVIRONMENT_FIELDS)

const EXECUTOR_FIELDS = {
  name: text,
  version: text,
  sourceRef: optional(reference),
  role: optional(text),
}
export type Executor = RecordOf<typeof EXECUTOR_FIELDS>
export const EXECUTOR: Structure<Executor> = structure('asl.executor', EXECUTOR_FIELDS)

const FINGERPRINT_FIELDS = {
  host: text,
  kernel: text,
  arch: text,
  cpuCount: uint,
  memoryKib: uint,
  runtime: text,
  sandbox: text,
  tools: mapOf(hash),
}
/** The machine of a run: run half only, never inside an image. */
export type Fingerprint = RecordOf<typeof FINGERPRINT_FIELDS>
export const FINGERPRINT: Structure<Fingerprint> = structure('asl.fingerprint', FINGERPRINT_FIELDS)

/** Raised when the meaning of capture changes; part of every step key. */
export const EVALUATOR_ID = 'asl-capture/1'

export interface StepKeyParts {
  readonly functionRef: Reference
  readonly inputManifestRef: Reference
  readonly environmentRef: Reference
  readonly evaluatorId: string
}

/** What decides whether a step is known already. */
export function stepKey(parts: StepKeyParts): Sha256 {
  const evaluator = Buffer.from(parts.evaluatorId)
  const encoded = wireWriter()
    .raw(Buffer.from('ASL/STEP/1\0'))
    .reference(parts.functionRef)
    .reference(parts.inputManifestRef)
    .reference(parts.environmentRef)
    .lengthPrefixed(evaluator)
    .bytes()
  return sha256Bytes(encoded).toString('hex') as Sha256
}

/** `asl.run-details`, canonical JSON: when, where and by whom a run was made, and how well it was observed. */
export function encodeRunDetails(details: Readonly<Record<string, Json | undefined>>): Buffer {
  return encodeJson(details)
}
