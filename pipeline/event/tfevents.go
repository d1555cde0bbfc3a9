package event

import (
	"encoding/binary"
	"hash/crc32"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// This file writes the records of TensorBoard's event files: frames around messages of tensorflow/core/util/event.proto. Only
// what a scalar needs of them is here.

// Field numbers of the messages.
const (
	eventWallTime    = 1 // double, seconds since 1970
	eventStep        = 2 // int64
	eventFileVersion = 3 // string
	eventSummary     = 5 // Summary
	eventSessionLog  = 7 // SessionLog
	summaryValue     = 1 // repeated Summary.Value
	valueTag         = 1 // string
	valueSimple      = 2 // float
	sessionStatus    = 1 // enum
	sessionStart     = 1 // SessionLog.START: what an earlier file has from this step on is void
)

// scalar is a Summary.Value.
type scalar struct {
	tag   string
	value float32
}

// versionEvent is the first record of a file.
func versionEvent(at float64) []byte {
	b := eventHead(at, 0)
	b = protowire.AppendTag(b, eventFileVersion, protowire.BytesType)
	return protowire.AppendString(b, "brain.Event:2")
}

// startEvent says that what is known from the step on is void.
func startEvent(at float64, step int64) []byte {
	var log []byte
	log = protowire.AppendTag(log, sessionStatus, protowire.VarintType)
	log = protowire.AppendVarint(log, sessionStart)
	b := eventHead(at, step)
	b = protowire.AppendTag(b, eventSessionLog, protowire.BytesType)
	return protowire.AppendBytes(b, log)
}

// scalarsEvent holds the values of one step.
func scalarsEvent(at float64, step int64, values []scalar) []byte {
	var summary []byte
	for _, v := range values {
		var value []byte
		value = protowire.AppendTag(value, valueTag, protowire.BytesType)
		value = protowire.AppendString(value, v.tag)
		value = protowire.AppendTag(value, valueSimple, protowire.Fixed32Type)
		value = protowire.AppendFixed32(value, math.Float32bits(v.value))
		summary = protowire.AppendTag(summary, summaryValue, protowire.BytesType)
		summary = protowire.AppendBytes(summary, value)
	}
	b := eventHead(at, step)
	b = protowire.AppendTag(b, eventSummary, protowire.BytesType)
	return protowire.AppendBytes(b, summary)
}

func eventHead(at float64, step int64) []byte {
	var b []byte
	b = protowire.AppendTag(b, eventWallTime, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, math.Float64bits(at))
	if step != 0 {
		b = protowire.AppendTag(b, eventStep, protowire.VarintType)
		b = protowire.AppendVarint(b, uint64(step))
	}
	return b
}

// castagnoli is computed once; nothing changes it.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// record frames a message as a TFRecord: its length, a checksum of that, the message, a checksum of that.
func record(message []byte) []byte {
	b := make([]byte, 0, len(message)+16)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(message)))
	b = binary.LittleEndian.AppendUint32(b, masked(b))
	b = append(b, message...)
	return binary.LittleEndian.AppendUint32(b, masked(message))
}

// masked is the CRC-32C of data, rotated and moved as TFRecords have it, so that a checksum of data that holds checksums is good.
func masked(data []byte) uint32 {
	c := crc32.Checksum(data, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}
