"""Makes the calls of docs/grpc.md with Python's gRPC, knowing of the server only what it says of itself: by reflection.

Reads the examples from the document: each is a `grpcurl` command with the call's JSON and its name. Prints one JSON object, by
the call's name its first answers.
"""

import json
import re
import shlex
import sys

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

address, token, ca, document = sys.argv[1:5]
# What the document's examples leave open.
replacements = dict(argument.split("=", 1) for argument in sys.argv[5:])


def channel():
    if ca:
        with open(ca, "rb") as file:
            credentials = grpc.ssl_channel_credentials(file.read())
        return grpc.secure_channel(address, grpc.composite_channel_credentials(credentials, grpc.access_token_call_credentials(token)))
    return grpc.intercept_channel(grpc.insecure_channel(address), Bearer())


class Bearer(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Sends the token without TLS, which gRPC's own credentials refuse to do."""

    def _with_token(self, details):
        metadata = [*(details.metadata or []), ("authorization", f"Bearer {token}")]
        return details._replace(metadata=metadata)

    def intercept_unary_unary(self, proceed, details, request):
        return proceed(self._with_token(details), request)

    def intercept_unary_stream(self, proceed, details, request):
        return proceed(self._with_token(details), request)

    def intercept_stream_unary(self, proceed, details, requests):
        return proceed(self._with_token(details), requests)

    def intercept_stream_stream(self, proceed, details, requests):
        return proceed(self._with_token(details), requests)


def examples(text):
    """The JSON and the method of each `grpcurl` command."""
    for block in re.findall(r"```sh\n(.*?)```", text, re.S):
        words = shlex.split(block.replace("\\\n", " "), comments=True)
        starts = [at for at, word in enumerate(words) if word == "grpcurl"]
        for start, end in zip(starts, [*starts[1:], len(words)]):
            command = words[start:end]
            data = command[command.index("-d") + 1] if "-d" in command else "{}"
            if "/" in command[-1]:
                yield command[-1], data


with channel() as open_channel:
    database = ProtoReflectionDescriptorDatabase(open_channel)
    pool = DescriptorPool(database)
    found = {"services": sorted(database.get_services()), "calls": {}}
    health = health_pb2_grpc.HealthStub(open_channel)
    for service in ["", "nodeglass.v1.MetricsService"]:
        answer = health.Check(health_pb2.HealthCheckRequest(service=service))
        found["health " + service] = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    with open(document) as file:
        text = file.read()
    for name, data in examples(text):
        for before, after in replacements.items():
            data = data.replace(before, after)
        service, method = name.split("/")
        if not service.startswith("nodeglass."):
            continue
        descriptor = pool.FindServiceByName(service).methods_by_name[method]
        request = json_format.Parse(data, GetMessageClass(descriptor.input_type)(), descriptor_pool=pool)
        answer_class = GetMessageClass(descriptor.output_type)
        path = f"/{service}/{method}"
        serialise, parse = type(request).SerializeToString, answer_class.FromString
        try:
            if descriptor.server_streaming:
                call = open_channel.unary_stream(path, serialise, parse)(request, timeout=30)
                answers = [next(call)]
                call.cancel()
            else:
                answers = [open_channel.unary_unary(path, serialise, parse)(request, timeout=30)]
            value = [json_format.MessageToDict(answer, preserving_proto_field_name=True) for answer in answers]
        except grpc.RpcError as error:
            value = f"{error.code().name}: {error.details()}"
        found["calls"].setdefault(method, []).append(value)

print(json.dumps(found))
