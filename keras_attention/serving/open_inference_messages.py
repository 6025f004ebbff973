"""The messages of the open inference protocol over gRPC, made from their definitions when this is imported.

They are in a pool of their own, since the clients of Triton and of KServe bring
the same names, and a pool takes each name once.

Reference: https://kserve.github.io/open-inference-protocol/, open_inference_grpc.proto
"""

import re

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "inference"
NAME = "GRPCInferenceService"
METHODS = ("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer")

# Each is at the top level; where the definition nests them, the bytes are the same.
_DEFINITIONS = """
message ServerLiveRequest
message ServerLiveResponse
  bool live = 1
message ServerReadyRequest
message ServerReadyResponse
  bool ready = 1
message ModelReadyRequest
  string name = 1
  string version = 2
message ModelReadyResponse
  bool ready = 1
message ServerMetadataRequest
message ServerMetadataResponse
  string name = 1
  string version = 2
  repeated string extensions = 3
message ModelMetadataRequest
  string name = 1
  string version = 2
message ModelMetadataResponse
  string name = 1
  repeated string versions = 2
  string platform = 3
  repeated TensorMetadata inputs = 4
  repeated TensorMetadata outputs = 5
message TensorMetadata
  string name = 1
  string datatype = 2
  repeated int64 shape = 3
message Parameter
  string key = 1
  InferParameter value = 2
message InferParameter
  bool bool_param = 1
  int64 int64_param = 2
  string string_param = 3
message InferTensorContents
  repeated bool bool_contents = 1
  repeated int32 int_contents = 2
  repeated int64 int64_contents = 3
  repeated uint32 uint_contents = 4
  repeated uint64 uint64_contents = 5
  repeated float fp32_contents = 6
  repeated double fp64_contents = 7
  repeated bytes bytes_contents = 8
message InferTensor
  string name = 1
  string datatype = 2
  repeated int64 shape = 3
  repeated Parameter parameters = 4
  InferTensorContents contents = 5
message InferRequestedOutputTensor
  string name = 1
  repeated Parameter parameters = 2
message ModelInferRequest
  string model_name = 1
  string model_version = 2
  string id = 3
  repeated Parameter parameters = 4
  repeated InferTensor inputs = 5
  repeated InferRequestedOutputTensor outputs = 6
  repeated bytes raw_input_contents = 7
message ModelInferResponse
  string model_name = 1
  string model_version = 2
  string id = 3
  repeated Parameter parameters = 4
  repeated InferTensor outputs = 5
  repeated bytes raw_output_contents = 6
"""
_FIELD = re.compile(r"  (repeated )?(\w+) (\w+) = (\d+)")
_Field = descriptor_pb2.FieldDescriptorProto


def _file():
    """The definitions, with the service, as a `FileDescriptorProto`."""
    file = descriptor_pb2.FileDescriptorProto(name="open_inference_grpc.proto", package=PACKAGE, syntax="proto3")
    for line in _DEFINITIONS.strip().splitlines():
        if line.startswith("message "):
            message = file.message_type.add(name=line.removeprefix("message "))
            continue
        repeated, kind, name, number = _FIELD.fullmatch(line).groups()
        label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
        field = message.field.add(name=name, number=int(number), label=label)
        if kind[0].isupper():
            field.type, field.type_name = _Field.TYPE_MESSAGE, f".{PACKAGE}.{kind}"
        else:
            field.type = _Field.Type.Value(f"TYPE_{kind.upper()}")
    service = file.service.add(name=NAME)
    for method in METHODS:
        types = (f".{PACKAGE}.{method}{what}" for what in ("Request", "Response"))
        service.method.add(name=method, **dict(zip(("input_type", "output_type"), types, strict=True)))
    return file


POOL = descriptor_pool.DescriptorPool()
POOL.Add(_file())


def message(name):
    """The class of a message."""
    return message_factory.GetMessageClass(POOL.FindMessageTypeByName(f"{PACKAGE}.{name}"))
