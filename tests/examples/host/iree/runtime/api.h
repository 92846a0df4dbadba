// Declarations of what examples/host/main.c calls, as IREE's own headers have
// them: enough to compile it without IREE.
#ifndef MNETDSL_TESTS_IREE_RUNTIME_API_H_
#define MNETDSL_TESTS_IREE_RUNTIME_API_H_

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct iree_status_handle_t* iree_status_t;
typedef size_t iree_host_size_t;
typedef uint64_t iree_device_size_t;
typedef iree_device_size_t iree_hal_dim_t;
typedef uint32_t iree_hal_element_type_t;
typedef uint32_t iree_hal_encoding_type_t;
typedef struct iree_runtime_instance_t iree_runtime_instance_t;
typedef struct iree_runtime_session_t iree_runtime_session_t;
typedef struct iree_hal_device_t iree_hal_device_t;
typedef struct iree_hal_allocator_t iree_hal_allocator_t;
typedef struct iree_hal_buffer_t iree_hal_buffer_t;
typedef struct iree_hal_buffer_view_t iree_hal_buffer_view_t;
typedef struct { void* self; } iree_allocator_t;
typedef struct { const char* data; iree_host_size_t size; } iree_string_view_t;
typedef struct { const uint8_t* data; iree_host_size_t data_length; } iree_const_byte_span_t;
typedef struct { void* opaque[8]; } iree_runtime_call_t;
typedef struct { int opaque[8]; } iree_runtime_instance_options_t;
typedef struct { int opaque[8]; } iree_runtime_session_options_t;
typedef struct {
  uint32_t usage;
  uint16_t access;
  uint32_t type;
  uint64_t queue_affinity;
  iree_device_size_t min_alignment;
} iree_hal_buffer_params_t;

enum {
  IREE_HAL_ELEMENT_TYPE_INT_8 = 1,
  IREE_HAL_ENCODING_TYPE_DENSE_ROW_MAJOR = 1,
  IREE_HAL_MEMORY_TYPE_DEVICE_LOCAL = 1,
  IREE_HAL_MEMORY_ACCESS_ALL = 1,
  IREE_HAL_BUFFER_USAGE_DEFAULT = 1,
  IREE_STATUS_RESOURCE_EXHAUSTED = 8,
};

iree_status_t iree_make_status(int code, const char* message);
int iree_status_is_ok(iree_status_t status);
void iree_status_ignore(iree_status_t status);
void iree_status_fprint(FILE* file, iree_status_t status);
#define IREE_RETURN_IF_ERROR(expression)            \
  do {                                              \
    iree_status_t _status = (expression);           \
    if (!iree_status_is_ok(_status)) return _status; \
  } while (0)

iree_allocator_t iree_allocator_system(void);
iree_string_view_t iree_make_cstring_view(const char* text);
iree_const_byte_span_t iree_make_const_byte_span(const void* data, iree_host_size_t size);

void iree_runtime_instance_options_initialize(iree_runtime_instance_options_t* options);
void iree_runtime_instance_options_use_all_available_drivers(iree_runtime_instance_options_t* options);
iree_status_t iree_runtime_instance_create(const iree_runtime_instance_options_t* options, iree_allocator_t allocator,
                                           iree_runtime_instance_t** instance);
void iree_runtime_instance_release(iree_runtime_instance_t* instance);
iree_allocator_t iree_runtime_instance_host_allocator(const iree_runtime_instance_t* instance);
iree_status_t iree_runtime_instance_try_create_default_device(iree_runtime_instance_t* instance,
                                                              iree_string_view_t driver, iree_hal_device_t** device);
void iree_hal_device_release(iree_hal_device_t* device);

void iree_runtime_session_options_initialize(iree_runtime_session_options_t* options);
iree_status_t iree_runtime_session_create_with_device(iree_runtime_instance_t* instance,
                                                      const iree_runtime_session_options_t* options,
                                                      iree_hal_device_t* device, iree_allocator_t allocator,
                                                      iree_runtime_session_t** session);
void iree_runtime_session_release(iree_runtime_session_t* session);
iree_hal_device_t* iree_runtime_session_device(const iree_runtime_session_t* session);
iree_hal_allocator_t* iree_runtime_session_device_allocator(const iree_runtime_session_t* session);
iree_status_t iree_runtime_session_append_bytecode_module_from_file(iree_runtime_session_t* session, const char* path);

iree_status_t iree_runtime_call_initialize_by_name(iree_runtime_session_t* session, iree_string_view_t name,
                                                   iree_runtime_call_t* call);
void iree_runtime_call_deinitialize(iree_runtime_call_t* call);
iree_status_t iree_runtime_call_inputs_push_back_buffer_view(iree_runtime_call_t* call, iree_hal_buffer_view_t* view);
iree_status_t iree_runtime_call_invoke(iree_runtime_call_t* call, uint32_t flags);
iree_status_t iree_runtime_call_outputs_pop_front_buffer_view(iree_runtime_call_t* call, iree_hal_buffer_view_t** view);

iree_status_t iree_hal_buffer_view_allocate_buffer_copy(iree_hal_device_t* device, iree_hal_allocator_t* allocator,
                                                        iree_host_size_t rank, const iree_hal_dim_t* shape,
                                                        iree_hal_element_type_t element,
                                                        iree_hal_encoding_type_t encoding,
                                                        iree_hal_buffer_params_t params, iree_const_byte_span_t data,
                                                        iree_hal_buffer_view_t** view);
iree_host_size_t iree_hal_buffer_view_element_count(const iree_hal_buffer_view_t* view);
iree_hal_buffer_t* iree_hal_buffer_view_buffer(const iree_hal_buffer_view_t* view);
void iree_hal_buffer_view_release(iree_hal_buffer_view_t* view);
iree_status_t iree_hal_buffer_map_read(iree_hal_buffer_t* buffer, iree_device_size_t offset, void* target,
                                       iree_device_size_t length);

#endif  // MNETDSL_TESTS_IREE_RUNTIME_API_H_
