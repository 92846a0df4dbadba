/* Rows as they come give the bits of the whole image; every wrong call gives its status, and memory outside the arena is
 * untouched. */
#include "expect.h"
#include "tiny.h"

#include <string.h>

#define HEIGHT TINY_INPUT_IMAGE_HEIGHT
#define ROW (TINY_INPUT_IMAGE_ELEMENTS / HEIGHT)
#define SCORES sizeof(float) * TINY_OUTPUT_SCORES_ELEMENTS

static uint8_t image[TINY_INPUT_IMAGE_ELEMENTS], second_image[TINY_INPUT_IMAGE_ELEMENTS];
static float expected[TINY_OUTPUT_SCORES_ELEMENTS], second_expected[TINY_OUTPUT_SCORES_ELEMENTS];
static float scores[TINY_OUTPUT_SCORES_ELEMENTS + 1], second[TINY_OUTPUT_SCORES_ELEMENTS];
static tiny_context context, other;
static tiny_arena second_arena;

int main(void)
{
    static uint32_t memory[TINY_ARENA_BYTES / 4 + 32];
    uint8_t *arena = (uint8_t *)memory + 64;
    int32_t status, row, count, chunk;
    int failures = 0;
    size_t i;

    for (i = 0; i < sizeof image; i++) {
        image[i] = (uint8_t)(i * 37 + i / 7);
        second_image[i] = (uint8_t)(i * 91 + i / 3);
    }
    memset(memory, 0xA5, sizeof memory);
    EXPECT(tiny_start_rows(&context, scores), TINY_ERROR_CONTEXT);
    EXPECT(tiny_feed_rows(&context, image, 1), TINY_ERROR_CONTEXT);
    EXPECT(tiny_offer_rows(&context, image, 1), TINY_ERROR_CONTEXT);
    EXPECT(tiny_step(&context), TINY_ERROR_CONTEXT);
    EXPECT(tiny_init(NULL, arena, TINY_ARENA_BYTES), TINY_ERROR_NULL);
    EXPECT(tiny_init(&context, NULL, TINY_ARENA_BYTES), TINY_ERROR_NULL);
    EXPECT(tiny_init(&context, arena, TINY_ARENA_BYTES - 1u), TINY_ERROR_ARENA);
    EXPECT(tiny_init(&context, arena + 1, TINY_ARENA_BYTES), TINY_ERROR_ALIGNMENT);
    EXPECT(tiny_start_rows(&context, scores), TINY_ERROR_CONTEXT);
    EXPECT(tiny_init(&context, arena, TINY_ARENA_BYTES), TINY_OK);
    EXPECT(tiny_start_rows(NULL, scores), TINY_ERROR_NULL);
    EXPECT(tiny_start_rows(&context, NULL), TINY_ERROR_NULL);
    EXPECT(tiny_start_rows(&context, (float *)(void *)((uint8_t *)scores + 1)), TINY_ERROR_ALIGNMENT);
    EXPECT(tiny_feed_rows(&context, image, 1), TINY_ERROR_IDLE);
    EXPECT(tiny_feed_rows(NULL, image, 1), TINY_ERROR_NULL);
    EXPECT(tiny_offer_rows(NULL, image, 1), TINY_ERROR_NULL);
    EXPECT(tiny_step(&context), TINY_ERROR_IDLE);

    /* A whole image, then the same in chunks of all sizes. */
    EXPECT(tiny_run(&context, second_image, second_expected), TINY_OK);
    EXPECT(tiny_run(&context, image, expected), TINY_OK);
    for (chunk = 1; chunk <= HEIGHT; chunk++) {
        memset(scores, 0, sizeof scores);
        EXPECT(tiny_start_rows(&context, scores), TINY_OK);
        for (row = 0; row < HEIGHT; row += chunk) {
            uint8_t rows[TINY_INPUT_IMAGE_ELEMENTS];
            count = HEIGHT - row < chunk ? HEIGHT - row : chunk;
            memcpy(rows, image + row * ROW, (size_t)(count * ROW));
            EXPECT(tiny_feed_rows(&context, rows, count), row + count < HEIGHT ? TINY_ROWS : TINY_OK);
            memset(rows, 0xEE, sizeof rows);
        }
        EXPECT(memcmp(scores, expected, SCORES), 0);
    }
    EXPECT(tiny_feed_rows(&context, image, 1), TINY_ERROR_IDLE);

    /* In the middle of feeding. */
    EXPECT(tiny_start_rows(&context, scores), TINY_OK);
    EXPECT(tiny_step(&context), TINY_ROWS);
    EXPECT(tiny_feed_rows(&context, NULL, 1), TINY_ERROR_NULL);
    EXPECT(tiny_feed_rows(&context, image, 0), TINY_ERROR_ROWS);
    EXPECT(tiny_feed_rows(&context, image, -1), TINY_ERROR_ROWS);
    EXPECT(tiny_feed_rows(&context, image, HEIGHT + 1), TINY_ERROR_ROWS);
    EXPECT(tiny_feed_rows(&context, image, HEIGHT - 1), TINY_ROWS);
    EXPECT(tiny_feed_rows(&context, image, 2), TINY_ERROR_ROWS);
    EXPECT(tiny_start_rows(&context, scores), TINY_ERROR_BUSY);
    EXPECT(tiny_start(&context, image, scores), TINY_ERROR_BUSY);
    EXPECT(tiny_run(&context, image, scores), TINY_ERROR_BUSY);
    EXPECT(tiny_feed_rows(&context, image + (HEIGHT - 1) * ROW, 1), TINY_OK);
    EXPECT(memcmp(scores, expected, SCORES), 0);

    /* In steps; rows in front of others that are unread. */
    EXPECT(tiny_start_rows(&context, scores), TINY_OK);
    for (row = 0; row < HEIGHT; row++) {
        EXPECT(tiny_offer_rows(&context, image + row * ROW, 1), TINY_OK);
        EXPECT(tiny_offer_rows(&context, image + row * ROW, 1), TINY_ERROR_BUSY);
        do {
            status = tiny_step(&context);
        } while (status == TINY_MORE);
        EXPECT(status, row < HEIGHT - 1 ? TINY_ROWS : TINY_OK);
    }
    EXPECT(memcmp(scores, expected, SCORES), 0);
    EXPECT(tiny_start(&context, image, scores), TINY_OK);
    EXPECT(tiny_feed_rows(&context, image, 1), TINY_ERROR_BUSY);
    do {
        status = tiny_step(&context);
    } while (status == TINY_MORE);
    EXPECT(status, TINY_OK);
    EXPECT(memcmp(scores, expected, SCORES), 0);

    /* Abandoned, and two at once. */
    EXPECT(tiny_start_rows(&context, scores), TINY_OK);
    EXPECT(tiny_feed_rows(&context, image, 3), TINY_ROWS);
    EXPECT(tiny_init(&context, arena, TINY_ARENA_BYTES), TINY_OK);
    EXPECT(tiny_init(&other, &second_arena, sizeof second_arena), TINY_OK);
    EXPECT(tiny_start_rows(&context, scores), TINY_OK);
    EXPECT(tiny_start_rows(&other, second), TINY_OK);
    for (row = 0; row < HEIGHT; row++) {
        EXPECT(tiny_feed_rows(&context, image + row * ROW, 1), row < HEIGHT - 1 ? TINY_ROWS : TINY_OK);
        EXPECT(tiny_feed_rows(&other, second_image + row * ROW, 1), row < HEIGHT - 1 ? TINY_ROWS : TINY_OK);
    }
    EXPECT(memcmp(scores, expected, SCORES), 0);
    EXPECT(memcmp(second, second_expected, SCORES), 0);
    for (i = 0; i < 64; i++) {
        EXPECT(((uint8_t *)memory)[i], 0xA5);
        EXPECT(((uint8_t *)memory)[64 + TINY_ARENA_BYTES + i], 0xA5);
    }
    return failures != 0;
}
