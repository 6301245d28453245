import { compareText, type InputEntry, type Json, type OutputEntry, type StepRecord } from '../../core/mod.ts'

/** The manifests and the command, so that the JSON beside a receipt can be read without a store. */
export function viewOf(record: StepRecord): Readonly<Record<string, Json>> {
  const entry = ({ name, role, ref, size }: InputEntry | OutputEntry): Json =>
    size === undefined ? { name, role, ref } : { name, role, ref, size }
  const { command, environment, inputs, outputs } = record
  return {
    command: {
      argv: command.argv,
      cwd: command.cwd,
      expect_exit: command.expectExit,
      roots: command.roots,
      stdin: command.stdin,
      timeout_s: command.timeoutS,
    },
    environment: {
      arch: environment.arch,
      network: environment.network,
      umask: environment.umask,
      source_date_epoch: environment.sourceDateEpoch,
      vars: environment.vars,
    },
    inputs: sortedByName(inputs.entries).map(entry),
    outputs: sortedByName(outputs.entries).map(entry),
  }
}

function sortedByName<T extends { readonly name: string }>(entries: readonly T[]): readonly T[] {
  return entries.toSorted((a, b) => compareText(a.name, b.name))
}
