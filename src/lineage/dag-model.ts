import type { Reference } from '../core/mod.ts'

/** What a picture of a history shows: boxes and arrows, already folded to a number that a person can look at. */
export interface Dag {
  readonly title: string
  readonly nodes: readonly DagNode[]
  readonly edges: readonly DagEdge[]
  /** What the boxes stand for. */
  readonly totals: DagTotals
}

export interface DagTotals {
  readonly steps: number
  readonly artifacts: number
  readonly sizeBytes: number
}

export type DagNodeKind = 'step' | 'tree' | 'overlay' | 'package' | 'index' | 'download' | 'file' | 'receipt' | 'image'

export interface DagNode {
  /** `s` or `a` and a number: unique, and an anchor in the picture. */
  readonly id: string
  readonly kind: DagNodeKind
  /** How many steps or artifacts it stands for. */
  readonly count: number
  readonly title: string
  readonly lines: readonly string[]
  /** Shown when a pointer rests on the box: full names and references. */
  readonly tooltip: readonly string[]
  readonly refs: readonly Reference[]
  /** Only ever `http:` and `https:`. */
  readonly href?: string
  /** Full picture only: everything that the box stands for, one by one. */
  readonly members?: readonly DagSection[]
}

export interface DagSection {
  readonly label: string
  readonly members: readonly DagMember[]
}

export interface DagMember {
  readonly name: string
  readonly detail: string
  readonly sizeBytes: number
}

export interface DagEdge {
  readonly from: string
  readonly to: string
  /** `change`: the tree that a step changes, and the tree it made of it; the spine of the picture. `root`: it ran in it. */
  readonly kind: 'change' | 'data' | 'root'
}
