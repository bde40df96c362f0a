"""Stands in for Terraform's AWS provider, as far as `validate` and tests with mocked resources need one: it tells which
resources there are and what they take. It reaches no cloud and makes nothing.

Terraform speaks protocol 5 of its plugins with it (tfplugin5.proto) and is told where it listens by
TF_REATTACH_PROVIDERS. The messages are described here and not generated: a handful is needed.
"""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SCHEMA = Path(__file__).with_name("aws_schema.json")
ADDRESS = "hashicorp/aws"
FIELD = descriptor_pb2.FieldDescriptorProto
NESTING = {"single": 1, "list": 2, "set": 3}

# Message, then fields: name, number, type (or the name of a message), whether there may be several.
MESSAGES = {
    "DynamicValue": [("msgpack", 1, "bytes"), ("json", 2, "bytes")],
    "Attribute": [
        ("name", 1, "string"),
        ("type", 2, "bytes"),
        ("required", 4, "bool"),
        ("optional", 5, "bool"),
        ("computed", 6, "bool"),
        ("write_only", 10, "bool"),
    ],
    "NestedBlock": [
        ("type_name", 1, "string"),
        ("block", 2, "Block"),
        ("nesting", 3, "int64"),
        ("min_items", 4, "int64"),
        ("max_items", 5, "int64"),
    ],
    "Block": [("version", 1, "int64"), ("attributes", 2, "Attribute", True), ("block_types", 3, "NestedBlock", True)],
    "Schema": [("version", 1, "int64"), ("block", 2, "Block")],
    # A map is a list of pairs on the wire.
    "Named": [("key", 1, "string"), ("value", 2, "Schema")],
    "SchemaRequest": [],
    "SchemaResponse": [
        ("provider", 1, "Schema"),
        ("resource_schemas", 2, "Named", True),
        ("data_source_schemas", 3, "Named", True),
        ("provider_meta", 5, "Schema"),
    ],
    "PrepareRequest": [("config", 1, "DynamicValue")],
    "PrepareResponse": [("prepared_config", 1, "DynamicValue")],
    "Anything": [],
}


def messages():
    file = descriptor_pb2.FileDescriptorProto(name="standin.proto", package="standin", syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind, *several in fields:
            label = FIELD.LABEL_REPEATED if several else FIELD.LABEL_OPTIONAL
            added = message.field.add(name=field, number=number, label=label)
            if kind in MESSAGES:
                added.type, added.type_name = FIELD.TYPE_MESSAGE, f".standin.{kind}"
            else:
                added.type = getattr(FIELD, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"standin.{name}")) for name in MESSAGES
    }


class Provider:
    """Answers Terraform's questions."""

    def __init__(self):
        self.kinds = messages()
        self.schema = json.loads(SCHEMA.read_text(encoding="utf-8"))

    def block(self, described):
        block = self.kinds["Block"]()
        for name, told in sorted(described["attributes"].items()):
            mode = told["mode"]
            block.attributes.add(
                name=name,
                type=json.dumps(told["type"]).encode(),
                required=mode == "required",
                optional=mode in ("optional", "write-only"),
                # What is optional may be: the bindings that this was read off do not tell.
                computed=mode in ("optional", "computed"),
                write_only=mode == "write-only",
            )
        for name, told in sorted(described["blocks"].items()):
            block.block_types.add(
                type_name=name,
                block=self.block(told["block"]),
                nesting=NESTING[told["nesting"]],
                min_items=told["min"],
                max_items=told["max"],
            )
        return block

    def configuration(self):
        """Its own: all of it optional, and none of it computed."""
        block = self.block(self.schema["configuration"])
        for attribute in block.attributes:
            attribute.computed = False
        return self.kinds["Schema"](block=block)

    def get_schema(self, _request, _context):
        def named(described):
            return [
                self.kinds["Named"](key=name, value=self.kinds["Schema"](block=self.block(block)))
                for name, block in sorted(described.items())
            ]

        return self.kinds["SchemaResponse"](
            provider=self.configuration(),
            provider_meta=self.kinds["Schema"](block=self.kinds["Block"]()),
            resource_schemas=named(self.schema["resources"]),
            data_source_schemas=named(self.schema["data"]),
        )

    def prepare(self, request, _context):
        return self.kinds["PrepareResponse"](prepared_config=request.config)

    def agree(self, _request, _context):
        return self.kinds["Anything"]()

    def serve(self):
        """Listens on loopback; the server and what Terraform's environment needs."""

        def answers(how, asked):
            return grpc.unary_unary_rpc_method_handler(
                how, request_deserializer=self.kinds[asked].FromString, response_serializer=lambda m: m.SerializeToString()
            )

        handlers = {
            "GetSchema": answers(self.get_schema, "SchemaRequest"),
            "PrepareProviderConfig": answers(self.prepare, "PrepareRequest"),
            "ValidateResourceTypeConfig": answers(self.agree, "Anything"),
            "ValidateDataSourceConfig": answers(self.agree, "Anything"),
            "Configure": answers(self.agree, "Anything"),
            "Stop": answers(self.agree, "Anything"),
        }
        server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", -1)])
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("tfplugin5.Provider", handlers)])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        where = {
            "Protocol": "grpc",
            "ProtocolVersion": 5,
            "Pid": os.getpid(),
            "Test": True,
            "Addr": {"Network": "tcp", "String": f"127.0.0.1:{port}"},
        }
        return server, {"TF_REATTACH_PROVIDERS": json.dumps({ADDRESS: where})}
