// The back end of a new Backstage project: the same plugins and modules.
const { createBackend } = require('@backstage/backend-defaults');

const features = [
  'app-backend',
  'auth-backend',
  'auth-backend-module-guest-provider',
  'catalog-backend',
  'catalog-backend-module-logs',
  'catalog-backend-module-scaffolder-entity-model',
  'kubernetes-backend',
  'mcp-actions-backend',
  'notifications-backend',
  'permission-backend',
  'permission-backend-module-allow-all-policy',
  'proxy-backend',
  'scaffolder-backend',
  'scaffolder-backend-module-github',
  'scaffolder-backend-module-notifications',
  'search-backend',
  'search-backend-module-catalog',
  'search-backend-module-pg',
  'search-backend-module-techdocs',
  'signals-backend',
  'techdocs-backend',
  'user-settings-backend',
];

const backend = createBackend();
for (const feature of features) backend.add(import(`@backstage/plugin-${feature}`));
backend.start();
