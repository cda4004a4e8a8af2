// Command golden encodes and decodes KPNG's messages with Go's protobuf. Its descriptors are written from the tables of the wire format, not
// from the .proto files of src/kpng.
//
//	golden          prints golden.json: the descriptors, and messages as JSON and as hex
//	golden decode   reads lines `TYPE HEX` and prints each message as JSON
package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// One message per line: its name, then `number name type` of each field. `*`: repeated, `{}`: a map of strings, `|`: member of a oneof.
var local = []string{
	"WatchReq: 1 NodeName string, 1000 Extended bool",
	"OpItem: 1 Sync EmptyOp|Op, 2 Set Value|Op, 3 Delete Ref|Op, 4 Reset EmptyOp|Op, 1000 TriggeredAt int64",
	"EmptyOp: 1000 Extended bool, 1001 Incomplete bool",
	"Ref: 1 Set Set, 2 Path string",
	"Value: 1 Ref Ref, 2 Bytes bytes",
	"Service: 1 Namespace string, 2 Name string, 3 Type string, 4 IPs ServiceIPs, 5 MapIP bool, 6 Ports PortMapping*, 7 ExternalTrafficToLocal bool, 8 Labels {}, 9 Annotations {}, 10 IPFilters IPFilter*, 11 ClientIP ClientIPAffinity|SessionAffinity, 12 InternalTrafficToLocal bool, 13 HealthCheckNodePort int32, 1000 CreatedAt string",
	"IPFilter: 1 TargetIPs IPSet, 2 SourceRanges string*",
	"ServiceIPs: 1 ClusterIPs IPSet, 2 ExternalIPs IPSet, 3 Headless bool, 4 LoadBalancerIPs IPSet",
	"Endpoint: 1 Hostname string, 2 IPs IPSet, 3 Local bool, 4 PortOverrides PortName*, 5 Scopes EndpointScopes, 1000 Facts EndpointFacts",
	"EndpointScopes: 1 Internal bool, 2 External bool",
	"EndpointFacts: 1 Slice string, 2 Ready bool, 3 Serving bool, 4 Terminating bool, 5 Node string, 6 HintZones string*, 7 HintNodes string*, 8 Pod string",
	"IPSet: 1 V4 string*, 2 V6 string*",
	"PortName: 1 Name string, 2 Port int32, 1000 Protocol Protocol",
	"PortMapping: 1 Name string, 2 Protocol Protocol, 3 Port int32, 4 NodePort int32, 5 TargetPort int32, 6 TargetPortName string",
	"ClientIPAffinity: 1 TimeoutSeconds int32",
	"ServiceCIDR: 1 Name string, 2 CIDRs string*",
}

var global = []string{
	"GlobalWatchReq: 1000 Extended bool",
	"ServiceInfo: 1 Hash uint64, 2 Service localv1.Service",
	"EndpointInfo: 1 Hash uint64, 2 Namespace string, 3 SourceName string, 4 ServiceName string, 6 Endpoint localv1.Endpoint, 7 Conditions EndpointConditions, 8 PodName string, 9 Topology TopologyInfo, 10 Hints TopologyHints",
	"EndpointConditions: 1 Ready bool",
	"TopologyInfo: 1 Node string, 2 Zone string",
	"TopologyHints: 1 Zones string*",
	"NodeInfo: 1 Hash uint64, 2 Node Node",
	"Node: 1 Name string, 2 Labels {}, 3 Annotations {}, 4 Topology TopologyInfo, 1000 Facts NodeFacts",
	"NodeFacts: 1 Addresses string*, 2 PodCIDRs string*, 3 Leaving bool",
}

var enums = []string{
	"Set: 0 UnknownSet, 1 ServicesSet, 2 EndpointsSet, 10 GlobalServiceInfos, 11 GlobalEndpointInfos, 12 GlobalNodeInfos, 1000 ServiceCIDRsSet",
	"Protocol: 0 UnknownProtocol, 1 TCP, 2 UDP, 3 SCTP",
}

var scalars = map[string]descriptorpb.FieldDescriptorProto_Type{
	"string": descriptorpb.FieldDescriptorProto_TYPE_STRING,
	"bytes":  descriptorpb.FieldDescriptorProto_TYPE_BYTES,
	"bool":   descriptorpb.FieldDescriptorProto_TYPE_BOOL,
	"int32":  descriptorpb.FieldDescriptorProto_TYPE_INT32,
	"int64":  descriptorpb.FieldDescriptorProto_TYPE_INT64,
	"uint64": descriptorpb.FieldDescriptorProto_TYPE_UINT64,
}

func split(line string) (name string, items [][]string) {
	name, rest, _ := strings.Cut(line, ": ")
	for _, item := range strings.Split(rest, ", ") {
		items = append(items, strings.Split(item, " "))
	}
	return name, items
}

func number(text string) int32 {
	n, err := strconv.Atoi(text)
	if err != nil {
		log.Fatal(err)
	}
	return int32(n)
}

func field(pkg string, message *descriptorpb.DescriptorProto, item []string) {
	kind, member, isMember := strings.Cut(item[2], "|")
	made := &descriptorpb.FieldDescriptorProto{
		Name:     proto.String(item[1]),
		JsonName: proto.String(item[1]),
		Number:   proto.Int32(number(item[0])),
		Label:    descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
	}
	if strings.HasSuffix(kind, "*") || kind == "{}" {
		made.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
		kind = strings.TrimSuffix(kind, "*")
	}
	if isMember {
		if len(message.OneofDecl) == 0 {
			message.OneofDecl = []*descriptorpb.OneofDescriptorProto{{Name: proto.String(member)}}
		}
		made.OneofIndex = proto.Int32(0)
	}
	scalar, isScalar := scalars[kind]
	switch {
	case isScalar:
		made.Type = scalar.Enum()
	case kind == "{}":
		made.Type = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum()
		made.TypeName = proto.String("." + pkg + "." + message.GetName() + "." + item[1] + "Entry")
		message.NestedType = append(message.NestedType, entry(item[1]+"Entry"))
	case kind == "Set" || kind == "Protocol":
		made.Type = descriptorpb.FieldDescriptorProto_TYPE_ENUM.Enum()
		made.TypeName = proto.String(".localv1." + kind)
	default:
		made.Type = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum()
		made.TypeName = proto.String("." + pkg + "." + kind)
		if strings.Contains(kind, ".") {
			made.TypeName = proto.String("." + kind)
		}
	}
	message.Field = append(message.Field, made)
}

func entry(name string) *descriptorpb.DescriptorProto {
	text := func(name string, n int32) *descriptorpb.FieldDescriptorProto {
		return &descriptorpb.FieldDescriptorProto{
			Name: proto.String(name), Number: proto.Int32(n), JsonName: proto.String(name),
			Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(), Type: descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(),
		}
	}
	return &descriptorpb.DescriptorProto{
		Name:    proto.String(name),
		Field:   []*descriptorpb.FieldDescriptorProto{text("key", 1), text("value", 2)},
		Options: &descriptorpb.MessageOptions{MapEntry: proto.Bool(true)},
	}
}

func file(pkg string, messages, enums, imports []string) *descriptorpb.FileDescriptorProto {
	made := &descriptorpb.FileDescriptorProto{
		Name: proto.String(pkg + ".proto"), Package: proto.String(pkg), Syntax: proto.String("proto3"), Dependency: imports,
	}
	for _, line := range messages {
		name, items := split(line)
		message := &descriptorpb.DescriptorProto{Name: proto.String(name)}
		for _, item := range items {
			field(pkg, message, item)
		}
		made.MessageType = append(made.MessageType, message)
	}
	for _, line := range enums {
		name, items := split(line)
		enum := &descriptorpb.EnumDescriptorProto{Name: proto.String(name)}
		for _, item := range items {
			enum.Value = append(enum.Value, &descriptorpb.EnumValueDescriptorProto{Name: proto.String(item[1]), Number: proto.Int32(number(item[0]))})
		}
		made.EnumType = append(made.EnumType, enum)
	}
	return made
}

func descriptors() (*descriptorpb.FileDescriptorSet, *protoregistry.Files) {
	set := &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{
		file("localv1", local, enums, nil),
		file("globalv1", global, nil, []string{"localv1.proto"}),
	}}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		log.Fatal(err)
	}
	return set, files
}

func message(files *protoregistry.Files, name string) *dynamicpb.Message {
	found, err := files.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		log.Fatal(err)
	}
	return dynamicpb.NewMessage(found.(protoreflect.MessageDescriptor))
}

// A message of the fixtures.
type sample struct {
	Name string          `json:"name"`
	Type string          `json:"type"`
	Says json.RawMessage `json:"says"`
	Hex  string          `json:"hex"`
}

func encode(files *protoregistry.Files, samples []sample) {
	for i := range samples {
		made := message(files, samples[i].Type)
		if err := protojson.Unmarshal(samples[i].Says, made); err != nil {
			log.Fatalf("%s: %v", samples[i].Name, err)
		}
		bytes, err := proto.MarshalOptions{Deterministic: true}.Marshal(made)
		if err != nil {
			log.Fatal(err)
		}
		samples[i].Hex = hex.EncodeToString(bytes)
	}
}

func decode(files *protoregistry.Files) {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		name, text, _ := strings.Cut(lines.Text(), " ")
		bytes, err := hex.DecodeString(text)
		if err != nil {
			log.Fatal(err)
		}
		made := message(files, name)
		if err := proto.Unmarshal(bytes, made); err != nil {
			log.Fatalf("%s: %v", name, err)
		}
		if unknown := made.GetUnknown(); len(unknown) > 0 {
			log.Fatalf("%s has unknown fields: %x", name, unknown)
		}
		says, err := protojson.Marshal(made)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(string(says))
	}
}

func main() {
	set, files := descriptors()
	if len(os.Args) > 1 {
		decode(files)
		return
	}
	var samples []sample
	text, err := os.ReadFile("samples.json")
	if err == nil {
		err = json.Unmarshal(text, &samples)
	}
	if err != nil {
		log.Fatal(err)
	}
	encode(files, samples)
	bytes, err := proto.MarshalOptions{Deterministic: true}.Marshal(set)
	if err != nil {
		log.Fatal(err)
	}
	printed := json.NewEncoder(os.Stdout)
	printed.SetIndent("", "  ")
	if err := printed.Encode(map[string]any{"descriptors": hex.EncodeToString(bytes), "messages": samples}); err != nil {
		log.Fatal(err)
	}
}
