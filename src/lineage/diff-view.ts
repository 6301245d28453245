import type { Json } from '../core/mod.ts'
import type { HistoryDiff } from './diff.ts'
import type { GraphStep } from './graph.ts'
import type { Cause } from './history-compare.ts'
import { jsonView } from './json-view.ts'
import { stepName } from './step-name.ts'

/** A comparison as data: docs/reference/schemas/diff.schema.json. */
export function diffView({ counts, groups, idle }: HistoryDiff): Json {
  return {
    is_equal: counts.added + counts.removed + counts.changed === 0 && idle.length === 0,
    counts: jsonView(counts),
    groups: groups.map(({ cause, files, omitted }) => ({
      ...(cause === undefined ? {} : { cause: causeView(cause) }),
      files: jsonView(files),
      omitted,
    })),
    idle: idle.map(causeView),
  }
}

export function causesView(causes: readonly Cause[]): Json {
  return { is_equal: causes.length === 0, causes: causes.map(causeView) }
}

function causeView({ a, b, change }: Cause): Json {
  return {
    ...(a === undefined ? {} : { a: stepView(a) }),
    ...(b === undefined ? {} : { b: stepView(b) }),
    change: jsonView(change),
  }
}

function stepView(step: GraphStep): Json {
  return { receipt: step.ref, name: stepName(step) }
}
