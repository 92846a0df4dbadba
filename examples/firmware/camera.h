/* A camera that delivers an image row by row. */
#ifndef CAMERA_H
#define CAMERA_H

#include <stdint.h>

/* 1 where the camera is there. */
int32_t camera_start(void);

/* Waits for the next row and stores its `bytes` bytes; 0 where no more will come. */
int32_t camera_row(uint8_t *row, uint32_t bytes);

#endif
