CREATE INDEX documents_by_words ON documents USING gin (words);
