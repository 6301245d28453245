/**
 * Image: from a recipe to bootable images. Archives and the first tree in our own process; everything after that as
 * captured steps over trees of the store; variants under `variants/`, one file each.
 *
 * No program of the build host takes part in the content of an image.
 */
export { type BuildResult, type BuildSources, buildImage, planImage } from './build.ts'
export type { Architecture } from './build-context.ts'
export * from './debian/mod.ts'
export { type Published, publishVariant } from './publish.ts'
export { parseRecipe } from './recipe.ts'
export { RECIPE_SCHEMA, type Recipe } from './recipe-schema.ts'
export { type Replay, replayImage } from './replay.ts'
export { PERSONAL_FOLDER, type Seeded, type SeedOptions, seedRoot } from './seed.ts'
export { openSession, prepareBuild, type Session, type SessionOptions } from './session.ts'
