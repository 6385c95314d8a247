export { FINDING_CODES, type Finding, type FindingCode } from './finding-codes.js';
export type { ScannedCounts } from './task-batch.js';
export type { VerificationSource } from './verification-connection.js';
export type { VerificationOptions } from './verification-options.js';
export { verifyTaskBridge, type VerificationReport } from './verify-task-bridge.js';
