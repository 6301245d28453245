/**
 * The one error type of the project. `code` is what programs and tests look at; `message` is one active sentence
 * that names what was found and where; `hint` is what to do next. Bugs stay plain `Error` and print with a stack.
 */
export class AslError extends Error {
  readonly code: ErrorCode
  readonly hint: string | undefined
  /** Machine-readable particulars: paths, digests, positions. Printed by `--json`. */
  readonly details: Readonly<Record<string, unknown>> | undefined

  constructor(code: ErrorCode, message: string, more: AslErrorMore = {}) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause })
    this.name = 'AslError'
    this.code = code
    this.hint = more.hint
    this.details = more.details
  }
}

export interface AslErrorMore {
  readonly hint?: string
  readonly details?: Readonly<Record<string, unknown>>
  readonly cause?: unknown
}

export function isAslError(error: unknown, ...codes: ErrorCode[]): error is AslError {
  return error instanceof AslError && (codes.length === 0 || codes.includes(error.code))
}

/** The text of anything thrown, for a `cause` that is shown to people. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/**
 * Every error code, with the exit status of the programs and the HTTP status of the endpoint (reference §18).
 * An exit status groups what a caller does next: 2 correct the call, 3 absent, 4 damaged, 5 forbidden, 6 try again,
 * 7 conflict, 8 too large, 9 the captured command failed, 10 a machine or tool is missing, 11 a check found differences.
 */
export const ERROR_CODES = {
  REF_INVALID: [2, 400],
  CONFIG_INVALID: [2, 400],
  CONFIG_DUPLICATE_KEY: [2, 400],
  REQUEST_INVALID: [2, 400],
  USAGE: [2, 400],
  CBOR_NOT_CANONICAL: [2, 400],
  JSON_NOT_CANONICAL: [2, 400],
  ARTIFACT_INVALID: [2, 400],
  RECORD_INVALID: [2, 400],
  TREE_INVALID: [2, 400],
  RECEIPT_INVALID: [2, 400],
  EDGE_INVALID: [2, 400],
  DOMAIN_ID_INVALID: [2, 400],
  RECIPE_INVALID: [2, 400],
  FORMAT_INVALID: [2, 400],
  ARCHIVE_HOSTILE: [2, 400],
  AUTH_REQUIRED: [5, 401],
  AUTH_FORBIDDEN: [5, 403],
  SIG_INVALID: [5, 403],
  SIG_THRESHOLD: [5, 403],
  STORE_NOT_FOUND: [3, 404],
  SNAPSHOT_NOT_FOUND: [3, 404],
  PATH_NOT_FOUND: [3, 404],
  PACKAGE_NOT_FOUND: [3, 404],
  RECEIPT_NOT_FOUND: [3, 404],
  DOMAIN_ID_COLLISION: [7, 409],
  STORE_EXISTS: [7, 409],
  PACKAGE_CONFLICT: [7, 409],
  LIMIT_EXCEEDED: [8, 413],
  REF_MISMATCH: [4, 422],
  DIGEST_MISMATCH: [4, 422],
  STORE_LOCKED: [7, 423],
  STORE_READ_ONLY: [7, 423],
  STORE_TOMBSTONED: [5, 403],
  STORE_INTEGRITY: [4, 500],
  STORE_BLOCK_MISSING: [4, 500],
  STORE_BLOCK_INVALID: [4, 500],
  LOG_CHAIN_BROKEN: [4, 500],
  LOG_TAIL_TORN: [4, 500],
  INDEX_SEGMENT_MISSING: [4, 500],
  INDEX_SEGMENT_HASH: [4, 500],
  INDEX_SEGMENT_INVALID: [4, 500],
  SNAPSHOT_INVALID: [4, 500],
  HISTORY_INVALID: [4, 500],
  NOT_IMPLEMENTED: [2, 501],
  STORE_UNSUPPORTED: [2, 501],
  CAPTURE_PTY_UNSUPPORTED: [2, 501],
  STORE_IO: [6, 503],
  DISK_FULL: [6, 503],
  NETWORK_UNREACHABLE: [6, 503],
  NETWORK_REFUSED: [5, 503],
  REPLAY_INPUT_MISSING: [4, 503],
  CAPTURE_COMMAND_FAILED: [9, 500],
  CAPTURE_FAILED: [9, 500],
  CAPTURE_OUTPUT_MISSING: [9, 500],
  TOOL_MISSING: [10, 503],
  HOST_UNSUPPORTED: [10, 503],
  REPLAY_DIFFERS: [11, 500],
  BOOT_FAILED: [11, 500],
  INTERRUPTED: [130, 503],
} as const satisfies Record<string, readonly [exitStatus: number, httpStatus: number]>

export type ErrorCode = keyof typeof ERROR_CODES

export function exitStatusOf(code: ErrorCode): number {
  return ERROR_CODES[code][0]
}

export function httpStatusOf(code: ErrorCode): number {
  return ERROR_CODES[code][1]
}
