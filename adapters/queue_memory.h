/* For tests: looks into and writes into a queue in memory, as an application or operator does with Redis. */
#ifndef HEED_QUEUE_MEMORY_H
#define HEED_QUEUE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* Appends an entry; `fields` are names and values in turn, ending with NULL. */
void queue_memory_add(const char *url, const char *stream, const char *const fields[]);
size_t queue_memory_length(const char *url, const char *stream);
/* A field of the entry at `index`, oldest first; NULL if there is none. The caller frees. */
char *queue_memory_field(const char *url, const char *stream, size_t index, const char *field);

#endif
