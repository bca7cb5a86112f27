// A provider's API document (Swagger 2.0 or OpenAPI 3) as a judge of answers: is this status declared for this operation, are
// its headers there, is its content type one of those named, and does its body fit the schema. The documents are not part of
// the product; BATCHD_SHARED says where they are.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { require } from './dialects.mjs';

const Ajv = require('ajv');

const read = (name) => JSON.parse(readFileSync(join(process.env.BATCHD_SHARED, 'protocol/specs', name), 'utf8'));
const definitionsOf = (document) => document.definitions ?? document.components?.schemas ?? document.schemas;

// Where a document is taken at less than its word. Everything else in it counts.
const amendments = {
  // A generator's slip, and one list in the service: `data` is declared as a single error.
  'azure-2024-10-21-batch-files.json': ({ BatchErrors }) => listOfErrors(BatchErrors),
  'azure-2025-04-01-preview-batch-files.json': ({ BatchErrors }) => listOfErrors(BatchErrors),
  // An empty list of files has no first and no last, though both are required strings.
  'openai-files-batches.json': ({ ListFilesResponse }) => {
    for (const name of ['first_id', 'last_id']) ListFilesResponse.properties[name].nullable = true;
  },
  'azure-v1-batch-files.json': (definitions, { paths }) => {
    fillPlaceholders(definitions);
    spellAsTheGuide(definitions, paths);
  },
};

function listOfErrors(errors) {
  errors.properties.data = { type: 'array', items: errors.properties.data };
}

/// Our copy of the v1 document names a few schemas only; it says that the OpenAI document's are their origin.
function fillPlaceholders(definitions) {
  const origin = read('openai-files-batches.json');
  amendments['openai-files-batches.json'](definitionsOf(origin));
  const fill = (name) => {
    const text = JSON.stringify(definitionsOf(origin)[name.replace('OpenAI.', '')]);
    definitions[name] = JSON.parse(text.replaceAll('#/components/schemas/', '#/components/schemas/OpenAI.'));
    for (const [, needed] of text.matchAll(/#\/components\/schemas\/(\w+)/g)) if (!definitions[`OpenAI.${needed}`]) fill(`OpenAI.${needed}`);
  };
  for (const name of Object.keys(definitions)) if (definitions[name].description?.startsWith('Not retrieved')) fill(name);
}

/// How much of a request's body the simulator records.
const recordedBytes = 16 * 1024;

/// A form as an object: whole numbers as such, `a[b]` and Azure's `a.b` as members of a where the whole name is declared nowhere.
/// Of the file what was recorded of it, which may be its beginning.
function formOf(type, body) {
  const [, boundary] = /boundary="?([^";]+)/.exec(type);
  const form = {};
  for (const part of body.split(`--${boundary}`).slice(1)) {
    const [, name] = /name="([^"]*)"/.exec(part) ?? [];
    if (!name) continue;
    const text = part.slice(part.indexOf('\r\n\r\n') + 4).replace(/\r\n$/, '');
    const value = name !== 'file' && /^\d+$/.test(text) ? Number(text) : text;
    const [, outer, inner] = /^(\w+)\[(\w+)\]$/.exec(name) ?? [];
    if (outer) form[outer] = { ...form[outer], [inner]: value };
    else form[name] = value;
  }
  return form;
}

/// What Azure's guide to v1 sends and its document does not name: metadata, whose answer has them, the expiry of results, batches of
/// responses, and an upload's expiry in fields with a dot.
function spellAsTheGuide(definitions, paths) {
  const { properties } = paths['/batches'].post.requestBody.content['application/json'].schema;
  properties.metadata = { type: 'object', additionalProperties: { type: 'string' } };
  properties.endpoint.enum.push('/v1/responses');
  const upload = definitions['OpenAI.CreateFileRequest'];
  const { properties: expiry } = definitions['OpenAI.FileExpirationAfter'];
  properties.output_expires_after = { type: 'object', properties: expiry, required: ['anchor', 'seconds'] };
  for (const [name, schema] of Object.entries(expiry)) upload.properties[`expires_after.${name}`] = schema;
}

const understood = ['type', 'required', 'enum', 'format', 'minLength', 'maxLength', 'minimum', 'maximum', 'pattern'];
const remarks = ['description', 'title', 'readOnly', 'example', 'examples', 'default', 'deprecated'];

/// As JSON Schema. What a document does not require may also be null, as its own examples show; and an object has the members
/// that the document names and no others.
function converted(schema) {
  const out = {};
  for (const [keyword, value] of Object.entries(schema)) {
    if (understood.includes(keyword)) out[keyword] = value;
    else if (keyword === '$ref') out.$ref = value.replace(/^#\/(definitions|components\/schemas)\//, '#/$defs/');
    else if (keyword === 'items') out.items = converted(value);
    else if (keyword === 'anyOf') out.anyOf = value.map(converted);
    else if (keyword === 'allOf' && value.length === 1) Object.assign(out, converted(value[0]));
    else if (keyword === 'properties') Object.assign(out, members(schema));
    else if (keyword === 'additionalProperties') out.additionalProperties = value === Object(value) ? converted(value) : value;
    else if (keyword !== 'nullable' && !remarks.includes(keyword) && !keyword.startsWith('x-'))
      throw new Error(`the document uses '${keyword}', which documents.mjs does not know: ${JSON.stringify(schema)}`);
  }
  return schema.nullable ? { anyOf: [out, { type: 'null' }] } : out;
}

function members({ properties, required = [], additionalProperties = false }) {
  const entries = Object.entries(properties).map(([name, schema]) => {
    const member = converted(schema);
    return [name, required.includes(name) ? member : { anyOf: [member, { type: 'null' }] }];
  });
  return { properties: Object.fromEntries(entries), additionalProperties };
}

/// The definitions that a schema needs, and those that they need, each once.
function needed(schema, definitions, found = {}) {
  for (const [, name] of JSON.stringify(schema).matchAll(/"\$ref":"#\/\$defs\/([^"]+)"/g)) {
    if (found[name]) continue;
    found[name] = converted(definitions[name]);
    needed(found[name], definitions, found);
  }
  return found;
}

/// Of a member that may be null or something: what is wrong with the something.
const telling = ({ keyword, params }) => keyword !== 'anyOf' && params.type !== 'null';

function compiler(definitions) {
  const ajv = new Ajv({ allErrors: true, strictTypes: false, formats: { int32: true, int64: true, url: true, binary: true } });
  // Seconds since 1970, so not milliseconds: between 2001 and 2106.
  ajv.addFormat('unixtime', { type: 'number', validate: (time) => time >= 1e9 && time < 2 ** 32 });
  const compiled = new Map();
  return (schema, value) => {
    const text = JSON.stringify(schema);
    if (!compiled.has(text)) {
      const root = converted(schema);
      compiled.set(text, ajv.compile({ ...root, $defs: needed(root, definitions) }));
    }
    const validate = compiled.get(text);
    if (validate(value)) return [];
    const errors = validate.errors.some(telling) ? validate.errors.filter(telling) : validate.errors;
    return errors.map(({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`);
  };
}

export class ApiDocument {
  constructor(name) {
    this.document = read(name);
    amendments[name]?.(definitionsOf(this.document), this.document);
    this.faults = compiler(definitionsOf(this.document));
  }

  /// As `{name, ...}`; undefined when the document has no such path and method. `path` is relative to the API's base.
  operation(method, path) {
    for (const [template, methods] of Object.entries(this.document.paths)) {
      const pattern = new RegExp(`^${template.replace(/\{[^}]*\}/g, '[^/]+')}$`);
      const found = methods[method.toLowerCase()];
      if (found && pattern.test(path)) return { name: `${method} ${template}`, ...found };
    }
    return undefined;
  }

  /// What is wrong with an answer to this operation, in words; nothing when it is as declared.
  judge(operation, { status, headers, text }) {
    const declared = operation.responses[status] ?? (status >= 400 ? this.errorResponse(operation) : undefined);
    if (!declared) return [`status ${status} is not declared`];
    return [...this.judgeHeaders(declared, headers), ...this.judgeBody(operation, declared, headers, text)];
  }

  /// OpenAI's document declares no refusals; of those it has the schema only.
  errorResponse(operation) {
    const schema = { $ref: '#/components/schemas/ErrorResponse' };
    return operation.responses.default ?? { content: { 'application/json': { schema } } };
  }

  judgeHeaders({ headers: declared = {} }, headers) {
    return Object.entries(declared).flatMap(([name, { type, format, required = true }]) => {
      const value = headers.get(name);
      if (value === null) return required ? [`header ${name} is missing`] : [];
      if (type === 'integer' && !/^\d+$/.test(value)) return [`header ${name} is no integer: ${value}`];
      if (format === 'url' && !URL.canParse(value)) return [`header ${name} is no URL: ${value}`];
      return [];
    });
  }

  /// What is wrong with a request, as the simulator recorded it, in words.
  judgeRequest(operation, { query, headers, body, length = 0 }) {
    const parameters = (operation.parameters ?? []).map((one) => this.resolved(one));
    const faults = [...this.judgeQuery(parameters, query), ...this.judgeAccept(parameters, headers)];
    // A fault struck before the simulator had read it all: nothing of it can be said.
    if (Buffer.byteLength(body) < Math.min(length, recordedBytes)) return faults;
    const schema = this.bodySchema(operation, parameters, headers['content-type']);
    if (typeof schema === 'string') return [...faults, schema];
    if (!schema) return body === '' ? faults : [...faults, 'a body where none is declared'];
    const value = headers['content-type'].startsWith('multipart/') ? formOf(headers['content-type'], body) : JSON.parse(body);
    return [...faults, ...this.faults(schema, value)];
  }

  resolved(parameter) {
    return parameter.$ref ? parameter.$ref.slice(2).split('/').reduce((at, name) => at[name], this.document) : parameter;
  }

  judgeQuery(parameters, query) {
    const declared = parameters.filter((one) => one.in === 'query');
    const missing = declared.filter((one) => one.required && !(one.name in query)).map((one) => `${one.name} is missing in the query`);
    return missing.concat(
      Object.entries(query).flatMap(([name, text]) => {
        const found = declared.find((one) => one.name === name);
        if (!found) return [`${name} is not declared in the query`];
        const schema = found.schema ?? { type: found.type, ...(found.enum && { enum: found.enum }) };
        return this.faults(schema, schema.type === 'integer' ? Number(text) : text).map((fault) => `${name} in the query${fault}`);
      }),
    );
  }

  judgeAccept(parameters, headers) {
    const asked = parameters.some((one) => one.in === 'header' && one.name === 'accept' && one.required);
    return asked && headers.accept !== 'application/json' ? ['header accept is not application/json'] : [];
  }

  /// What a body of this type must be like; nothing when there must be none, a sentence when the type is wrong.
  bodySchema(operation, parameters, type = '') {
    const kind = type.split(';')[0];
    const kinds = operation.requestBody?.content;
    const fields = parameters.filter((one) => one.in === 'formData');
    const whole = parameters.find((one) => one.in === 'body');
    if (!kinds && !whole && fields.length === 0) return undefined;
    if (!(kinds ? Object.keys(kinds) : operation.consumes).includes(kind)) return `content type ${type} is not declared for the request`;
    if (kinds) return kinds[kind].schema;
    if (whole) return whole.schema;
    const members = fields.map(({ name, type: form, enum: values, minimum, maximum }) => {
      const number = form === 'integer' ? { minimum, maximum } : {};
      return [name, { type: form === 'file' ? 'string' : form, ...(values && { enum: values }), ...number }];
    });
    return { type: 'object', properties: Object.fromEntries(members), required: fields.filter((one) => one.required).map((one) => one.name) };
  }

  judgeBody(operation, declared, headers, text) {
    const bytes = declared === operation.responses[200] && operation.name.endsWith('/content');
    const given = headers.get('content-type');
    // The bytes of a file: OpenAI's document calls them a JSON string, which they are not in the service either.
    if (bytes) return given === 'application/octet-stream' ? [] : [`content type ${given} for a file's bytes`];
    const kinds = declared.content ? Object.keys(declared.content) : operation.produces;
    if (!kinds.includes(given)) return [`content type ${given} is not declared`];
    return this.faults(declared.schema ?? declared.content[given].schema, JSON.parse(text));
  }
}

/// Judges the lines of input, output and error files.
export class LineSchemas {
  constructor() {
    const { schemas } = read('openai-batch-line-schemas.json');
    schemas.BatchRequestOutput.properties.response.properties.body.additionalProperties = true;
    this.faults = compiler(schemas);
  }

  judge(line) {
    return this.faults({ $ref: '#/components/schemas/BatchRequestOutput' }, line);
  }
}
