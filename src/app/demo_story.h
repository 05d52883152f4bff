/* Tells the demo's story: polls the daemon's own API and prints each stage of each incident once.
 */
#ifndef TOC_APP_DEMO_STORY_H
#define TOC_APP_DEMO_STORY_H

#include <stdbool.h>
#include <stddef.h>

struct toc_demo_story;

struct toc_demo_story *toc_demo_story_new(const char *server_url);
void toc_demo_story_free(struct toc_demo_story **s);
void toc_demo_story_poll(struct toc_demo_story *s);
/* Did an incident open, and are all closed again? */
bool toc_demo_story_is_over(const struct toc_demo_story *s);
size_t toc_demo_story_incident_count(const struct toc_demo_story *s);

#endif
