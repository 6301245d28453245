import { cyclonedxBom } from './cyclonedx.ts'
import { type ExportData, type ExportSubject, exportData } from './export-subject.ts'
import { inTotoStatements } from './in-toto.ts'
import { spdxDocument } from './spdx.ts'
import { spdx3Document } from './spdx3.ts'

/** The formats of others that a history can be written in. */
export const EXPORT_FORMATS = {
  'in-toto': { mediaType: 'application/x-ndjson', write: inTotoStatements },
  cyclonedx: { mediaType: 'application/vnd.cyclonedx+json; version=1.7', write: cyclonedxBom },
  spdx: { mediaType: 'application/spdx+json', write: spdxDocument },
  spdx3: { mediaType: 'application/spdx3+json', write: spdx3Document },
} as const satisfies Record<string, { readonly mediaType: string; readonly write: (data: ExportData) => string }>

export type ExportFormat = keyof typeof EXPORT_FORMATS

export function isExportFormat(text: string): text is ExportFormat {
  return Object.hasOwn(EXPORT_FORMATS, text)
}

/** @throws AslError STORE_INTEGRITY, LIMIT_EXCEEDED */
export function exportHistory(subject: ExportSubject, format: ExportFormat): string {
  return EXPORT_FORMATS[format].write(exportData(subject))
}
