/**
 * Capture: a step is the only way anything comes to be. Runs commands in a sandbox whose root is a tree of the store,
 * or in place on the host; writes what was read and written as artifacts, and the receipt that links them.
 * Implements docs/spec/capture.md.
 *
 * The deterministic half of a receipt never holds a time, a host, a user or a path of the builder.
 */

export * from './hermetic/builtin.ts'
export { type KnownSteps, openKnownSteps } from './hermetic/known-steps.ts'
export { isInitialUserNamespace } from './hermetic/namespace.ts'
export * from './hermetic/run-step.ts'
export * from './hermetic/step.ts'
export { openTreeCache, type TreeCache } from './hermetic/tree-cache.ts'
export * from './in-place/mod.ts'
export { isMachineLocal } from './network/address.ts'
export { type AptChain, type AptLink, checkAptChain } from './network/apt-chain.ts'
export * from './network/download.ts'
export * from './network/environment.ts'
export { type KeepBodies, keepIn } from './network/keeper.ts'
export type { Mirror } from './network/mirror-map.ts'
export * from './network/policy.ts'
export { knownResponses } from './network/recorded-inputs.ts'
export * from './network/recorder.ts'
export { redactUrl } from './network/request-url.ts'
export { openStepNetwork } from './network/step-network.ts'
export type { UpstreamProxy } from './network/upstream-proxy.ts'
export * from './receipt-files.ts'
export * from './receipt-view.ts'
export * from './receipts.ts'
