import { type Json, uuidV5 } from '../../core/mod.ts'
import { URL_NAMESPACE } from './cyclonedx.ts'
import { type ExportData, timeOf } from './export-subject.ts'
import { referenceUri } from './in-toto.ts'
import type { InstalledPackage } from './package-set.ts'

/**
 * SPDX 2.3, the version that most readers want. Names and digests only: no licence is concluded from anything, since
 * nothing was looked at. The time is SOURCE_DATE_EPOCH.
 */
export function spdxDocument(data: ExportData): string {
  const { subject, packages, epoch } = data
  const ids = spdxIds(packages)
  const image = {
    SPDXID: 'SPDXRef-Image',
    name: subject.name,
    versionInfo: subject.tree,
    downloadLocation: 'NOASSERTION',
    filesAnalyzed: false,
    primaryPackagePurpose: 'OPERATING-SYSTEM',
    ...UNSAID,
    ...checksumsOf(subject.image?.sha256),
  }
  const document = {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    name: subject.name,
    documentNamespace: `urn:uuid:${uuidV5(URL_NAMESPACE, referenceUri(subject.tree))}`,
    creationInfo: { created: timeOf(epoch), creators: [`Tool: asl-${subject.toolVersion}`] },
    packages: [image, ...packages.map((pkg, i) => packageView(data, pkg, ids[i] ?? ''))],
    relationships: [
      { spdxElementId: 'SPDXRef-DOCUMENT', relationshipType: 'DESCRIBES', relatedSpdxElement: 'SPDXRef-Image' },
      ...ids.map(id => ({ spdxElementId: 'SPDXRef-Image', relationshipType: 'CONTAINS', relatedSpdxElement: id })),
    ],
  }
  return `${JSON.stringify(document, undefined, 2)}\n`
}

const UNSAID = { licenseConcluded: 'NOASSERTION', licenseDeclared: 'NOASSERTION', copyrightText: 'NOASSERTION' }

function packageView(data: ExportData, pkg: InstalledPackage, id: string): Json {
  const { artifact } = pkg
  return {
    SPDXID: id,
    name: pkg.name.toWellFormed(),
    versionInfo: pkg.version.toWellFormed(),
    downloadLocation: artifact !== undefined && URL.canParse(artifact.url) ? new URL(artifact.url).href : 'NOASSERTION',
    filesAnalyzed: false,
    ...UNSAID,
    ...checksumsOf(artifact && data.digestOf(artifact.ref)),
    externalRefs: [{ referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: pkg.purl }],
  }
}

/** Letters, digits, `.` and `-` only; names that become equal are numbered. */
function spdxIds(packages: readonly InstalledPackage[]): readonly string[] {
  const used = new Map<string, number>()
  return packages.map(({ type, name, architecture }) => {
    const base = `SPDXRef-${type}-${name}${architecture === undefined ? '' : `-${architecture}`}`.replace(
      /[^A-Za-z0-9.-]/g,
      '-',
    )
    const count = used.get(base) ?? 0
    used.set(base, count + 1)
    return count === 0 ? base : `${base}-${count + 1}`
  })
}

function checksumsOf(sha256: string | undefined): { readonly checksums?: readonly Json[] } {
  return sha256 === undefined ? {} : { checksums: [{ algorithm: 'SHA256', checksumValue: sha256 }] }
}
