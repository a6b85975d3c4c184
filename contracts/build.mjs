// Builds the contracts into artifacts/, or with --check says whether the committed artifacts still match the sources.
//
// The output depends on nothing but the sources and the pinned packages: no metadata hash, no paths, no dates, one
// order of keys. So a rebuild anywhere gives the same bytes, and a difference means that somebody changed something.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const sourcesDir = join(here, "src");
const artifactsDir = join(here, "artifacts");
const modulesDir = join(here, "node_modules");

const settings = {
  evmVersion: "cancun",
  metadata: { appendCBOR: false, bytecodeHash: "none" },
  optimizer: { enabled: true, runs: 200 },
};

function fail(...lines) {
  for (const line of lines) console.error(line);
  process.exit(1);
}

function readSources() {
  const sources = {};
  for (const name of readdirSync(sourcesDir).filter((name) => name.endsWith(".sol")).sort()) {
    sources[`src/${name}`] = readFileSync(join(sourcesDir, name), "utf8");
  }
  return sources;
}

// The packages must be the pinned ones: another compiler or library would build other bytecode, and the difference
// would be blamed on the sources.
function requirePinnedPackages() {
  const pins = JSON.parse(readFileSync(join(here, "package.json"), "utf8")).devDependencies;
  for (const [name, pinned] of Object.entries(pins)) {
    const manifest = join(modulesDir, name, "package.json");
    if (!existsSync(manifest)) fail(`contracts: ${name} is not installed; run scripts/contracts.sh, which installs it`);
    const installed = JSON.parse(readFileSync(manifest, "utf8")).version;
    if (installed !== pinned) {
      fail(`contracts: ${name} is ${installed}, but package.json pins ${pinned}; run "npm ci" in contracts/`);
    }
  }
}

function findImport(path) {
  const file = join(modulesDir, path);
  return existsSync(file) ? { contents: readFileSync(file, "utf8") } : { error: `${path} is not in node_modules` };
}

/** Every file that a source was built from, itself included, as far as it is ours. */
function ownSourcesBehind(path, sources, seen = new Set()) {
  if (seen.has(path)) return seen;
  seen.add(path);
  for (const [, name] of sources[path].matchAll(/from\s+"\.\/([^"]+)"/g)) ownSourcesBehind(`src/${name}`, sources, seen);
  return seen;
}

function compile(sources) {
  const solc = createRequire(import.meta.url)("solc");
  const input = {
    language: "Solidity",
    sources: Object.fromEntries(Object.entries(sources).map(([path, content]) => [path, { content }])),
    settings: { ...settings, outputSelection: { "*": { "*": ["abi", "evm.bytecode.object"] } } },
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: findImport }));

  // Warnings about our own files fail too: a warning that stays is a warning that nobody reads. Those about the library
  // are its authors' business, and its version is pinned.
  const counts = ({ severity, sourceLocation }) =>
    severity === "error" || (severity === "warning" && !sourceLocation?.file?.startsWith("@"));
  const problems = (output.errors ?? []).filter(counts);
  if (problems.length > 0) {
    fail(...problems.map((problem) => problem.formattedMessage), "contracts: the sources do not compile cleanly; nothing was written");
  }
  return { compiler: solc.version(), contracts: output.contracts };
}

/** File name to file content, for each contract of ours that can be deployed or called. */
function artifacts() {
  const sources = readSources();
  const { compiler, contracts } = compile(sources);
  const files = {};
  for (const path of Object.keys(sources)) {
    const sourceSha256 = {};
    for (const own of [...ownSourcesBehind(path, sources)].sort()) {
      sourceSha256[own] = createHash("sha256").update(sources[own]).digest("hex");
    }
    for (const [contractName, built] of Object.entries(contracts[path])) {
      if (built.evm.bytecode.object === "") continue; // an interface: nothing to deploy
      files[`${contractName}.json`] = `${JSON.stringify(
        { contractName, compiler, settings, sourceSha256, abi: built.abi, bytecode: `0x${built.evm.bytecode.object}` },
        null,
        2,
      )}\n`;
    }
  }
  return files;
}

function committedNames() {
  return existsSync(artifactsDir) ? readdirSync(artifactsDir).filter((name) => name.endsWith(".json")).sort() : [];
}

/** Says in one line how a committed artifact differs from a fresh build; null when it does not. */
function difference(name, fresh) {
  const file = join(artifactsDir, name);
  if (!existsSync(file)) return "is missing";
  const text = readFileSync(file, "utf8");
  if (text === fresh) return null;
  let committed;
  try {
    committed = JSON.parse(text);
  } catch (error) {
    return `is not JSON: ${error.message}`;
  }
  const expected = JSON.parse(fresh);
  const keys = [...new Set([...Object.keys(expected), ...Object.keys(committed)])];
  const differing = keys.filter((key) => JSON.stringify(expected[key]) !== JSON.stringify(committed[key]));
  return differing.length > 0 ? `differs in ${differing.join(", ")}` : "differs in layout only";
}

function check(files) {
  const problems = [];
  for (const name of Object.keys(files).sort()) {
    const how = difference(name, files[name]);
    if (how) problems.push(`artifacts/${name} ${how}`);
  }
  for (const name of committedNames()) {
    if (!(name in files)) problems.push(`artifacts/${name} has no source any more`);
  }
  if (problems.length > 0) {
    fail(...problems.map((problem) => `contracts: ${problem}`), 'contracts: rebuild with "make contracts" and commit the result');
  }
  console.log(`contracts: ${Object.keys(files).length} artifacts match their sources`);
}

function write(files) {
  mkdirSync(artifactsDir, { recursive: true });
  for (const name of committedNames()) {
    if (!(name in files)) rmSync(join(artifactsDir, name));
  }
  for (const [name, content] of Object.entries(files)) writeFileSync(join(artifactsDir, name), content);
  console.log(`contracts: ${Object.keys(files).length} artifacts written to contracts/artifacts`);
}

const args = process.argv.slice(2);
if (args.some((arg) => arg !== "--check")) fail("usage: node build.mjs [--check]");
requirePinnedPackages();
const files = artifacts();
if (args.includes("--check")) check(files);
else write(files);
