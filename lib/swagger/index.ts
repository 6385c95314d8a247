export { decorateForSwagger } from './decorate-for-swagger.js';
export { describeWebSocket } from './describe-web-socket.js';
export { createOpenApiDocument } from './openapi-document.js';
