// Makes a component of a JavaScript program: componentize.mjs SOURCE OUT WIT-FOLDER
import { componentize } from '@bytecodealliance/componentize-js';
import { readFile, writeFile } from 'node:fs/promises';

const [source, out, witPath] = process.argv.slice(2);
const { component } = await componentize(await readFile(source, 'utf8'), {
  witPath,
  worldName: 'program',
  disableFeatures: ['http', 'fetch-event'],
});
await writeFile(out, component);
