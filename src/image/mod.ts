/**
 * Image: from a recipe to bootable images. Archives and the first tree in our own process; everything after that as
 * captured steps over trees of the store; variants under `variants/`, one file each.
 *
 * No program of the build host takes part in the content of an image.
 */
export { type BuildOptions, type BuildResult, type BuildSources, buildImage } from './build.ts'
export * from './debian/archive.ts'
export * from './debian/deb-index.ts'
export * from './debian/host-mirror.ts'
export { type IndexDebsOptions, indexDebs } from './debian/index-debs.ts'
export * from './debian/lock.ts'
export * from './debian/mirror-fetch.ts'
export * from './debian/package-index.ts'
export * from './debian/release-signature.ts'
export * from './debian/resolve.ts'
export * from './debian/stage0.ts'
export * from './debian/unpack.ts'
export { parseRecipe } from './recipe.ts'
export { RECIPE_SCHEMA, type Recipe } from './recipe-schema.ts'
export { openSession, prepareBuild, type Session, type SessionOptions } from './session.ts'
export * from './tree-builder.ts'
export * from './debian/mod.ts'
