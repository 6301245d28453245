import type { HostFinding, ProbePlace } from './finding.ts'
import { probeDisk, probeFuse, probeKernel, probeMemory } from './machine.ts'
import { probeIdRanges, probeOverlay, probeUserNamespaces } from './namespaces.ts'

/** What can be asked of the machine without the rooms above, in the order in which a reader wants to know. */
export async function probeHost(place: ProbePlace): Promise<readonly HostFinding[]> {
  return await Promise.all([
    probeKernel(place),
    probeUserNamespaces(place),
    probeIdRanges(place),
    probeOverlay(place),
    probeFuse(),
    probeMemory(),
    probeDisk(place),
  ])
}
