import { ApiProperty, ApiPropertyOptional, type ApiPropertyOptions } from '@nestjs/swagger';
import {
  DIAGNOSIS_KINDS,
  SUSPENSION_KINDS,
  TASK_STATUSES,
  type DiagnosisKind,
  type SuspensionKind,
  type TaskStatus,
} from '@taskbridge/protocol';
import { EVENT_ID, TIME } from './event.models.js';

const TIME_OR_NULL: ApiPropertyOptions = { ...TIME, nullable: true };
const OF_HANDOFFS = 'Of the kinds that end with _HANDOFF.';
const OF_QUESTIONS = 'Of QUESTION.';

/** One thing that a task waits for; which of the optional fields are there depends on the kind. */
export class DiagnosisReason {
  @ApiProperty({ type: 'string', enum: [...DIAGNOSIS_KINDS] })
  kind: DiagnosisKind;

  @ApiProperty({ description: 'One sentence for people; its wording may change.' })
  message: string;

  @ApiProperty({ ...TIME_OR_NULL, description: 'null where it is not known.' })
  since: string | null;

  @ApiPropertyOptional({ type: 'integer', minimum: 0, description: OF_HANDOFFS })
  attempts?: number;

  @ApiPropertyOptional({ type: 'string', nullable: true, description: OF_HANDOFFS })
  lastError?: string | null;

  @ApiPropertyOptional({ ...TIME_OR_NULL, description: OF_HANDOFFS })
  nextTryAt?: string | null;

  @ApiPropertyOptional({ description: 'Of RESUME_HANDOFF.' })
  clientActionId?: string;

  @ApiPropertyOptional({ description: 'Of QUESTION and RESUME_HANDOFF.' })
  suspendId?: string;

  @ApiPropertyOptional({ description: 'Of CANCELLATION.' })
  reason?: string;

  @ApiPropertyOptional({ type: 'integer', minimum: 0, description: 'Of RUN, LEASE_EXPIRED and EXECUTOR.' })
  attempt?: number;

  @ApiPropertyOptional({ type: 'string', nullable: true, description: 'Of RUN and LEASE_EXPIRED.' })
  host?: string | null;

  @ApiPropertyOptional({ ...TIME, description: 'Of RUN.' })
  leaseExpiresAt?: string;

  @ApiPropertyOptional({ ...TIME_OR_NULL, description: 'Of RUN and EXECUTOR.' })
  lastEventAt?: string | null;

  @ApiPropertyOptional({ ...TIME, description: 'Of QUEUE.' })
  dueAt?: string;

  @ApiPropertyOptional({ type: 'string', enum: [...SUSPENSION_KINDS], description: OF_QUESTIONS })
  suspensionKind?: SuspensionKind;

  @ApiPropertyOptional({ description: OF_QUESTIONS })
  reasonCode?: string;

  @ApiPropertyOptional({ type: 'array', items: { type: 'string' }, minItems: 1, description: OF_QUESTIONS })
  allowedActions?: string[];

  @ApiPropertyOptional({ ...TIME_OR_NULL, description: OF_QUESTIONS })
  expiresAt?: string | null;

  @ApiPropertyOptional({
    type: 'string',
    enum: ['fail', 'cancel', 'resume', null],
    nullable: true,
    description: OF_QUESTIONS,
  })
  onExpiry?: 'fail' | 'cancel' | 'resume' | null;
}

/** Why a task does not go on, all of one instant. */
export class TaskDiagnosis {
  @ApiProperty()
  taskId: string;

  @ApiProperty({ type: 'string', enum: [...TASK_STATUSES] })
  status: TaskStatus;

  @ApiProperty(TIME)
  checkedAt: string;

  @ApiProperty({ ...EVENT_ID, nullable: true })
  lastEventId: string | null;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    description: 'When the task fails at the latest; `null` without a deadline.',
  })
  deadlineAt: string | null;

  @ApiProperty({ type: [DiagnosisReason], minItems: 1, description: 'What decides soonest comes first.' })
  reasons: DiagnosisReason[];
}
