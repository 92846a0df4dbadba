/* Stands in for a camera under QEMU: rows come from the file camera.bin of the host, one image behind the other. */
#include "camera.h"
#include "mnet_board.h"

static int32_t file = -1;

int32_t camera_start(void)
{
    file = mnet_open("camera.bin", 10u, 0);
    return file >= 0;
}

int32_t camera_row(uint8_t *row, uint32_t bytes)
{
    return mnet_read(file, row, bytes);
}
