import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Contact } from './contact.entity.js';
import { ContactsImportHandler } from './contacts-import.handler.js';
import { ContactsWriter } from './contacts.writer.js';

/** The sample's real job. Its handler is found by its decorator; listing it among the providers is all it takes. */
@Module({
  imports: [TypeOrmModule.forFeature([Contact])],
  providers: [ContactsImportHandler, ContactsWriter],
})
export class ContactsModule {}
