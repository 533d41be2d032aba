// configure.js LAYOUT NAME: gives the image in the folder LAYOUT the working directory and command of Backstage's usual image, the
// name NAME and a label with it. Files are replaced, never written
// to: they may be links. The layer stays.
const { createHash } = require('node:crypto');
const { readFileSync, rmSync, writeFileSync } = require('node:fs');

const [layout, name] = process.argv.slice(2);
const blob = ({ digest }) => `${layout}/blobs/${digest.replace(':', '/')}`;
const read = file => JSON.parse(readFileSync(file, 'utf8'));

// Writes a blob in place of another and returns its descriptor.
function replace(old, content) {
  const text = JSON.stringify(content);
  const digest = `sha256:${createHash('sha256').update(text).digest('hex')}`;
  rmSync(blob(old));
  writeFileSync(blob({ digest }), text);
  return { ...old, digest, size: Buffer.byteLength(text) };
}

const index = read(`${layout}/index.json`);
const [entry] = index.manifests;
const manifest = read(blob(entry));
const image = read(blob(manifest.config));

delete image.config.Entrypoint;
image.config.Cmd = ['node', 'packages/backend', '--config', 'app-config.yaml', '--config', 'app-config.production.yaml'];
image.config.WorkingDir = '/app';
image.config.Labels = { name };
manifest.config = replace(manifest.config, image);
index.manifests = [{
  ...replace(entry, manifest),
  annotations: { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': name.split(':')[1] },
}];
rmSync(`${layout}/index.json`);
writeFileSync(`${layout}/index.json`, JSON.stringify(index));
