import {
  AslError,
  COMMAND,
  type Command,
  compareText,
  ENVIRONMENT,
  type Environment,
  EVALUATOR_ID,
  INPUT_MANIFEST,
  type InputEntry,
  type OutputEntry,
  type OutputRole,
  type Reference,
  type Sha256,
  stepKey,
} from '../../core/mod.ts'
import { HEADERS_INPUT_NAME } from '../network/recorded-inputs.ts'

/**
 * A hermetic step: `tree + command + environment → tree`. Its root is a tree of the store, its inputs lie under
 * `/work/in/<name>`, what it leaves under `/work/out/<name>` and in its `roots` are its outputs.
 */
export interface Step {
  /** For people: plans, progress, errors. Not part of the receipt. */
  readonly name: string
  readonly command: Command
  readonly environment: Environment
  /** What is known before the run. A step with network `declared` adds an input per response that it was given. */
  readonly inputs: readonly InputEntry[]
  /** Role of an output by its name where it is not plainly `file` or `tree`. */
  readonly outputRoles?: Readonly<Record<string, OutputRole>>
}

export interface StepResult {
  readonly step: Step
  /** The deterministic receipt. */
  readonly receiptRef: Reference
  readonly outputs: readonly OutputEntry[]
  /** `known`: the receipt was there already and nothing ran. */
  readonly state: 'built' | 'known'
  readonly wallMs: number
}

export const WORK_PATH = '/work'
export const INPUT_PATH = '/work/in'
export const OUTPUT_PATH = '/work/out'

/** Where an input lies inside the sandbox: downloads by the last part of their URL, everything else by its name. */
export function inputPath(entry: Pick<InputEntry, 'name' | 'role'>): string {
  const name = entry.role === 'download' ? (entry.name.split('/').at(-1) ?? entry.name) : entry.name
  return `${INPUT_PATH}/${name}`
}

/**
 * The key by which a step is found again before it runs: everything but the downloads that only the run discovers.
 * What an archive offered is an input of its own (role `lock`), so another state of the archive is another key.
 */
export function declaredKey(parts: {
  readonly command: Command
  readonly environment: Environment
  readonly inputs: readonly InputEntry[]
}): Sha256 {
  const isOpen = parts.environment.network !== 'none'
  const declared = isOpen ? parts.inputs.filter(entry => !isDiscovered(entry)) : parts.inputs
  return stepKey({
    functionRef: COMMAND.referenceOf(parts.command),
    inputManifestRef: INPUT_MANIFEST.referenceOf({ entries: declared }),
    environmentRef: ENVIRONMENT.referenceOf(parts.environment),
    evaluatorId: EVALUATOR_ID,
  })
}

/** What a step with a network was given while it ran, and nobody knew before: responses, and the headers it was shown. */
function isDiscovered(entry: InputEntry): boolean {
  return entry.role === 'download' || entry.name === HEADERS_INPUT_NAME
}

/** @throws AslError CAPTURE_OUTPUT_MISSING */
export function outputOf(result: Pick<StepResult, 'step' | 'outputs'>, name: string): OutputEntry {
  const found = result.outputs.find(entry => entry.name === name)
  if (found !== undefined) return found
  throw new AslError('CAPTURE_OUTPUT_MISSING', `Step "${result.step.name}" has no output "${name}"`, {
    hint: `It has: ${result.outputs
      .map(entry => entry.name)
      .sort(compareText)
      .join(', ')}`,
  })
}
