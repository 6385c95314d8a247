import { Injectable } from '@nestjs/common';
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import ajvFormats from 'ajv-formats';
import { type FieldProblem, messageOf, validationError } from '../taskbridge.errors.js';
import type { JsonObject, TaskSuspensionRecord } from './records.js';

const MAX_COMPILED = 200;

/** Checks answers against the JSON Schemas (draft 2020-12) that suspensions carry; compiled schemas are kept. */
@Injectable()
export class AnswerSchemas {
  private readonly compiled = new Map<string, ValidateFunction>();

  /** Refuses a schema that does not compile, before anybody is asked by it. */
  assertSchema(field: string, schema: JsonObject): void {
    try {
      this.compile(schema);
    } catch (error) {
      throw validationError([{ field, message: `is not a usable JSON Schema: ${messageOf(error)}` }]);
    }
  }

  /** An absent payload counts as `{}`. Actions without a schema accept any payload. */
  assertAnswer(
    suspension: Pick<TaskSuspensionRecord, 'actionSchemas'>,
    actionType: string,
    payload: JsonObject | null,
  ): void {
    const schema = schemaOf(suspension.actionSchemas, actionType);
    if (schema === undefined) return;
    const validate = this.compile(schema);
    if (!validate(payload ?? {})) throw validationError((validate.errors ?? []).map(problemOf));
  }

  private compile(schema: JsonObject): ValidateFunction {
    const key = JSON.stringify(schema);
    const known = this.compiled.get(key);
    if (known !== undefined) return known;
    // A schema of its own instance each: two suspensions may use one `$id` for different schemas.
    const ajv = new Ajv2020({ allErrors: false, strict: false });
    ajvFormats.default(ajv);
    const validate = ajv.compile(schema);
    // It would answer with a promise, which is true whatever the payload is.
    if ('$async' in validate) throw new Error('it must not be $async');
    if (this.compiled.size >= MAX_COMPILED) this.compiled.delete(this.compiled.keys().next().value ?? '');
    this.compiled.set(key, validate);
    return validate;
  }
}

/** An action may be called `toString`, or anything else that every object inherits. */
export function schemaOf(
  actionSchemas: Readonly<Record<string, JsonObject>> | null | undefined,
  actionType: string,
): JsonObject | undefined {
  return actionSchemas && Object.hasOwn(actionSchemas, actionType) ? actionSchemas[actionType] : undefined;
}

function problemOf(error: ErrorObject): FieldProblem {
  const path = error.instancePath.split('/').slice(1).join('.');
  const missing = error.keyword === 'required' ? String(error.params['missingProperty']) : '';
  const field = ['payload', path, missing].filter((part) => part !== '').join('.');
  return { field, message: error.message ?? 'is not valid' };
}
