import { EVALUATOR_ID, type Json, type Reference } from '../../core/mod.ts'
import type { GraphInput, GraphStep } from '../graph.ts'
import { runViews } from '../run-view.ts'
import { stepName } from '../step-name.ts'
import type { ExportData } from './export-subject.ts'

const STATEMENT_TYPE = 'https://in-toto.io/Statement/v1'
const PROVENANCE_TYPE = 'https://slsa.dev/provenance/v1'
/** Defined in docs/spec/exports.md: what the parameters of a captured step mean. */
export const BUILD_TYPE = 'urn:asl:build-type:captured-step:1'

/**
 * One in-toto statement a line, each with the SLSA provenance of one step. Deterministic halves alone fill
 * `buildDefinition`; a run half that the store holds fills `runDetails`. Statements are not signed: that is the signer's
 * work, over exactly these bytes.
 */
export function inTotoStatements(data: ExportData): string {
  const runsOf = runViews(data.subject.store, data.graph)
  const lines = data.steps.flatMap(step => {
    const subject = step.outputs.flatMap(output => descriptor(data, output))
    if (step.details === undefined || subject.length === 0) return []
    const [run] = runsOf(step.ref)
    const statement = {
      _type: STATEMENT_TYPE,
      subject,
      predicateType: PROVENANCE_TYPE,
      predicate: {
        buildDefinition: buildDefinition(data, step),
        runDetails: {
          builder: builderOf(step),
          metadata: {
            invocationId: `urn:asl:${run?.ref ?? step.ref}`,
            ...(run === undefined ? {} : { startedOn: run.startedAt }),
          },
        },
      },
    }
    return [JSON.stringify(statement)]
  })
  return lines.map(line => `${line}\n`).join('')
}

function buildDefinition(data: ExportData, step: GraphStep): Json {
  const { command, environment } = step.details ?? {}
  const root = environment?.rootRef
  const inputs: readonly GraphInput[] =
    root === undefined ? step.inputs : [...step.inputs, { ref: root, name: 'root', role: 'tree' }]
  return {
    buildType: BUILD_TYPE,
    externalParameters: {
      ...(command?.argv === undefined ? {} : { argv: command.argv.map(wellFormed) }),
      ...(command?.builtin === undefined ? {} : { builtin: wellFormed(command.builtin) }),
      cwd: wellFormed(command?.cwd ?? ''),
      ...(command?.roots === undefined ? {} : { roots: textMap(command.roots) }),
    },
    internalParameters: {
      name: stepName(step),
      receipt: step.ref,
      evaluator: step.details?.receipt.evaluatorId ?? EVALUATOR_ID,
      arch: environment?.arch,
      network: environment?.network,
      umask: environment?.umask,
      sourceDateEpoch: environment?.sourceDateEpoch,
      variables: textMap(environment?.vars ?? {}),
    },
    resolvedDependencies: inputs.flatMap(input => descriptor(data, input, true)),
  }
}

/** The executor of the receipt: a program, not a host. */
function builderOf(step: GraphStep): Json {
  const [executor] = step.details?.executors ?? []
  const name = wellFormed(executor?.name ?? 'unknown')
  return {
    id: `urn:asl:executor:${encodeURIComponent(name)}`,
    ...(executor === undefined ? {} : { version: { [name]: wellFormed(executor.version) } }),
  }
}

/**
 * A resource descriptor. The digest is the plain SHA-256 of the content, so that `sha256sum` can check it; of a tree
 * that is its manifest. Our own reference goes along as an annotation. What the store does not hold has no digest, and
 * cannot be a subject.
 */
function descriptor(
  data: ExportData,
  entry: GraphInput | GraphStep['outputs'][number],
  isDependency = false,
): readonly Json[] {
  const sha256 = data.digestOf(entry.ref)
  const name = wellFormed(entry.name ?? entry.ref)
  const uri = /^https?:\/\//.test(name) ? name : referenceUri(entry.ref)
  if (sha256 === undefined && !isDependency) return []
  return [
    {
      name,
      ...(isDependency || sha256 === undefined ? { uri } : {}),
      ...(sha256 === undefined ? {} : { digest: { sha256 } }),
      annotations: { asl_reference: entry.ref, ...(entry.role === undefined ? {} : { asl_role: entry.role }) },
    },
  ]
}

export function referenceUri(ref: Reference): string {
  return `urn:asl:${ref}`
}

function textMap(map: Readonly<Record<string, string>>): Json {
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [wellFormed(key), wellFormed(value)]))
}

/** A command line may hold anything; JSON text must be Unicode. */
function wellFormed(text: string): string {
  return text.toWellFormed()
}
