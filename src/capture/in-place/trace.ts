import { encodeJson, type Json, type Reference } from '../../core/mod.ts'
import type { StoreWriter } from '../../store/mod.ts'
import type { EndState } from './end-state.ts'
import type { ReadInputs } from './input-entries.ts'
import type { Observation, Reason } from './observation.ts'
import { pathText, type RawPath } from './raw-path.ts'

/** How well a run was observed: `trace` in its `asl.run-details`. */
export interface Trace {
  readonly observer: string
  readonly inputs: 'complete' | 'partial'
  readonly outputs: 'complete' | 'partial'
  readonly network: 'complete' | 'partial'
  readonly environment: 'complete'
  readonly reasons: readonly Reason[]
  /** An artifact of canonical JSON: what neither manifest can say. */
  readonly acts: Reference
}

export interface TraceOptions {
  readonly observation: Observation
  readonly end: EndState
  readonly read: ReadInputs
  readonly inputReasons: readonly Reason[]
  readonly outputReasons: readonly Reason[]
  readonly isNetworkKnown: boolean
}

export function putTrace(writer: StoreWriter, options: TraceOptions): Trace {
  const { observation, end, read } = options
  const texts = (paths: readonly RawPath[]): readonly string[] => paths.map(pathText)
  const acts: Json = {
    removed: texts(end.removed),
    renamed: end.moved.map(([from, to]) => [pathText(from), pathText(to)]),
    temporary: texts(end.temporary),
    overwritten_unread: texts(observation.overwritten),
    private: texts(read.privatePaths),
    lost: texts(read.lostPaths),
    special: observation.special,
  }
  const completeness = (reasons: readonly Reason[]): 'complete' | 'partial' =>
    reasons.length === 0 ? 'complete' : 'partial'
  return {
    observer: observation.observer,
    inputs: completeness(options.inputReasons),
    outputs: completeness(options.outputReasons),
    network: options.isNetworkKnown ? 'complete' : 'partial',
    environment: 'complete',
    reasons: [...new Set([...options.inputReasons, ...options.outputReasons])].sort(),
    acts: writer.put(encodeJson(acts)),
  }
}
