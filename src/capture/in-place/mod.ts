/**
 * Capture in place: any command, run where it stands on this machine, watched by what the machine allows. What it read
 * becomes inputs, what it wrote outputs; the receipt says by what it was observed and how complete that was.
 * Implements docs/spec/capture-in-place.md.
 */
export { captureCommand } from './capture-command.ts'
export { captureFile, type FileClass } from './capture-file.ts'
export type { CaptureHost, CaptureRequest } from './capture-request.ts'
export type { Finding } from './findings.ts'
export type { Observer } from './observation.ts'
export type { CaptureResult } from './record-capture.ts'
