/**
 * Lineage: receipts become a graph, and the graph answers questions. Where does this file come from (whence), what does
 * the whole history look like (dag), what made two results differ (diff), and the same for other tools (exports).
 * Implements docs/spec/lineage.md.
 *
 * Pure reading: nothing here writes to a store. Edges and names come from foreign stores, so what they claim is checked
 * against manifests and bytes, and what does not fit is a finding that names the artifact.
 */
export * from './archive.ts'
export { cachedArchives } from './archive-cache.ts'
export { archiveReaders } from './archive-readers.ts'
export { DESCRIBE_BUILD } from './build-description.ts'
export { type BytePath, bytePathOf, showBytes, showPath, showText } from './byte-path.ts'
export { type DagOptions, dagOf } from './dag.ts'
export { dagDot } from './dag-dot.ts'
export type { Dag, DagEdge, DagNode } from './dag-model.ts'
export { drawDag } from './dag-svg.ts'
export { type DiffOptions, type DiffSubject, diffHistories, diffReceipts, type HistoryDiff } from './diff.ts'
export { formatCauses, formatDiff } from './diff-text.ts'
export { causesView, diffView } from './diff-view.ts'
export { EXPORT_FORMATS, type ExportFormat, exportHistory, isExportFormat } from './exports/formats.ts'
export {
  buildGraph,
  type Graph,
  type GraphFinding,
  type GraphInput,
  type GraphOutput,
  type GraphStep,
} from './graph.ts'
export { graphView } from './graph-view.ts'
export type { Cause } from './history-compare.ts'
export { jsonView } from './json-view.ts'
export { HISTORY_PATH, openHistory } from './open-history.ts'
export { originSummary } from './origin-summary.ts'
export { type TreeReader, treeReader } from './tree-reader.ts'
export * from './verify-history.ts'
export { type WhenceAsker, type WhenceSubject, whenceAsker } from './whence.ts'
export type { Whence, WhenceLink } from './whence-link.ts'
export { drawWhence } from './whence-svg.ts'
export { formatWhence } from './whence-text.ts'
