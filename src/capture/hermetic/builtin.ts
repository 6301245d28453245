import { AslError, type Environment, type InputEntry, type OutputEntry, type Reference } from '../../core/mod.ts'
import type { StoreReader, StoreWriter } from '../../store/mod.ts'
import type { ProgressCounts } from '../../sys/mod.ts'

/**
 * An operation of this project that runs no program: a pure function from the store's artifacts to new ones. It sees
 * no clock, no host and no path, so that its receipt holds on every machine.
 */
export interface Builtin {
  /** `op:<name>`, as it stands in `asl.command`. Raise the number behind `@` when equal inputs give other outputs. */
  readonly name: string
  run(context: BuiltinContext): Promise<readonly OutputEntry[]>
}

export interface BuiltinContext {
  readonly store: StoreReader
  /** The batch that the step's outputs go into; the same one at every call. Fetch first: it holds the store's lock. */
  openWriter(): StoreWriter
  readonly environment: Environment
  readonly inputs: readonly InputEntry[]
  /** @throws AslError REQUEST_INVALID when the step was given no such input */
  input(name: string): InputEntry
  /** Asks the network through the recorder; each answer becomes an input. Only where the environment declares it. */
  fetch(url: string): Promise<FetchedContent | undefined>
  /** A private folder that is removed afterwards. */
  readonly scratch: string
  readonly signal?: AbortSignal
  progress?(counts: ProgressCounts): void
}

/** A response that is in the store. */
export interface FetchedContent {
  readonly reference: Reference
  readonly sizeBytes: number
  /** The content, in pieces; as often as asked. */
  chunks(): Iterable<Buffer>
}

export type Builtins = ReadonlyMap<string, Builtin>

export function builtinTable(...builtins: readonly Builtin[]): Builtins {
  return new Map(builtins.map(builtin => [builtin.name, builtin]))
}

/** @throws AslError NOT_IMPLEMENTED for a name that this version does not have */
export function builtinNamed(builtins: Builtins, name: string): Builtin {
  const found = builtins.get(name)
  if (found !== undefined) return found
  throw new AslError('NOT_IMPLEMENTED', `No operation "${name}" in this version of asl`, {
    hint: `It knows: ${[...builtins.keys()].join(', ')}`,
  })
}

export function inputNamed(inputs: readonly InputEntry[], name: string): InputEntry {
  const found = inputs.find(entry => entry.name === name)
  if (found !== undefined) return found
  throw new AslError('REQUEST_INVALID', `The step has no input "${name}"`)
}
