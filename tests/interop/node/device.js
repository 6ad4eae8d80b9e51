/*
 * A device made with lwm2m-node-lib, told what to do by lines of JSON on stdin: {"do": "register", …}. What happens to
 * it goes to stdout, a line of JSON each. It knows nothing of Commandpost.
 */
'use strict';

// The library logs to stdout, which is ours: its log goes to stderr.
const logger = require('logops');
logger.stream = process.stderr;

const lwm2m = require('lwm2m-node-lib').client;
const config = require('lwm2m-node-lib/config').client;

let registration = null;

function tell(event) {
  process.stdout.write(JSON.stringify(event) + '\n');
}

// The library asks for its handlers anew after each register and update, for it then opens a new listener.
function handleRequests() {
  const handler = (operation) => (objectType, objectId, resourceId, value, callback) => {
    tell({ event: operation, path: [objectType, objectId, resourceId].join('/'), value: String(value) });
    callback(null);
  };
  for (const operation of ['read', 'write', 'execute']) {
    lwm2m.setHandler(registration.serverInfo, operation, handler(operation));
  }
}

function told(what) {
  return (error, result) => {
    if (error) {
      tell({ event: 'error', of: what, text: String(error.message || error.name || error) });
      return;
    }
    if (result && result.serverInfo) {
      registration = result;
      handleRequests();
    }
    tell({ event: what, location: registration ? registration.location : '' });
  };
}

const orders = {
  create: (order) => lwm2m.registry.create(order.path, told('created')),
  set: (order) => lwm2m.registry.setResource(order.path, order.resource, order.value, told('set')),
  register: (order) => {
    config.lifetime = String(order.lifetime);
    config.logLevel = 'FATAL';
    lwm2m.init({ ...config, client: config });
    lwm2m.register(order.host, order.port, '', order.endpoint, told('registered'));
  },
  update: () => lwm2m.update(registration, told('updated')),
  unregister: () => lwm2m.unregister(registration, told('unregistered')),
};

require('readline')
  .createInterface({ input: process.stdin })
  .on('line', (line) => {
    const order = JSON.parse(line);
    orders[order.do](order);
  })
  .on('close', () => process.exit(0));
