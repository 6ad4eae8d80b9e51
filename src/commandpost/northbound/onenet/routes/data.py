"""The routes of reported data. Source: northbound reference 7."""

from collections.abc import Sequence
from typing import Final

from commandpost.northbound.onenet import binaries, datapoints, datastreams
from commandpost.northbound.onenet.datapoints import DATAPOINTS_SCHEMA
from commandpost.northbound.onenet.datastreams import DATASTREAM_CHANGE_SCHEMA, NEW_DATASTREAM_SCHEMA
from commandpost.northbound.onenet.dialect import CallRoute, Subject
from commandpost.northbound.onenet.further_parameters import (
    DATA_CURSOR,
    DATA_DURATION,
    DATA_END,
    DATA_FORM,
    DATA_LIMIT,
    DATA_SORT,
    DATA_START,
    DATASTREAM_ID,
    DATASTREAM_ID_LIST,
    DATASTREAM_IDS,
    DESCRIPTION,
)
from commandpost.northbound.onenet.parameters import DEVICE_ID
from commandpost.northbound.onenet.route_samples import DATAPOINTS, DATASTREAM, REPORT, UUID
from commandpost.northbound.onenet.routes.shapes import ARRAY, OBJECT, general, raw_body
from commandpost.northbound.routing import RequestBody
from commandpost.northbound.settings import NorthboundSettings

_TAG: Final = "Data"


def data_routes(settings: NorthboundSettings) -> Sequence[CallRoute]:
    """Datastreams, datapoints and binary data of a device; a right to the streams named is enough."""
    return (*_stream_routes(settings), *_point_routes(settings), *_binary_routes(settings))


def _stream_routes(settings: NorthboundSettings) -> Sequence[CallRoute]:
    return (
        general(
            "POST",
            "/devices/{device_id}/datastreams",
            datastreams.create,
            name="createDatastream",
            tag=_TAG,
            summary="Make a datastream",
            description="A report makes those it names, too.",
            body=RequestBody(
                schema=NEW_DATASTREAM_SCHEMA,
                example={"id": "humidity", "unit": "percent", "unit_symbol": "%", "tags": ["air"]},
                bytes_max=settings.body_bytes_max,
            ),
            data_schema=OBJECT,
            data={"ds_uuid": UUID},
            subject=Subject.DEVICE_OF_PATH,
            is_of_streams=True,
        ),
        general(
            "GET",
            "/devices/{device_id}/datastreams",
            datastreams.list_streams,
            name="listDatastreams",
            tag=_TAG,
            summary="List the datastreams of a device",
            parameters=(DATASTREAM_IDS,),
            data_schema=ARRAY,
            data=[DATASTREAM],
            subject=Subject.DEVICE_OF_PATH,
            is_of_streams=True,
        ),
        general(
            "GET",
            "/devices/{device_id}/datastreams/{datastream_id}",
            datastreams.show,
            name="showDatastream",
            tag=_TAG,
            summary="Show a datastream",
            data_schema=OBJECT,
            data=DATASTREAM,
            subject=Subject.DEVICE_OF_PATH,
            is_of_streams=True,
        ),
        general(
            "PUT",
            "/devices/{device_id}/datastreams/{datastream_id}",
            datastreams.change,
            name="changeDatastream",
            tag=_TAG,
            summary="Change a datastream; what is not named stays",
            body=RequestBody(
                schema=DATASTREAM_CHANGE_SCHEMA, example={"unit": "Kelvin"}, bytes_max=settings.body_bytes_max
            ),
            subject=Subject.DEVICE_OF_PATH,
            is_of_streams=True,
        ),
        general(
            "DELETE",
            "/devices/{device_id}/datastreams/{datastream_id}",
            datastreams.remove,
            name="removeDatastream",
            tag=_TAG,
            summary="Remove a datastream with its datapoints",
            subject=Subject.DEVICE_OF_PATH,
            is_of_streams=True,
        ),
    )


def _point_routes(settings: NorthboundSettings) -> Sequence[CallRoute]:
    return (
        general(
            "POST",
            "/devices/{device_id}/datapoints",
            datapoints.report,
            name="reportDatapoints",
            tag=_TAG,
            summary="Report datapoints, all or none",
            parameters=(DATA_FORM,),
            body=RequestBody(schema=DATAPOINTS_SCHEMA, example=REPORT, bytes_max=settings.body_bytes_max),
            subject=Subject.DEVICE_OF_PATH,
            is_of_streams=True,
        ),
        general(
            "GET",
            "/devices/{device_id}/datapoints",
            datapoints.query,
            name="listDatapoints",
            tag=_TAG,
            summary="Ask for datapoints",
            description="Without any parameter but `datastream_id`: the latest of each datastream. `cursor` is there "
            "when more follows; a page that grows large ends before its limit.",
            parameters=(
                DATASTREAM_ID_LIST,
                DATA_START,
                DATA_END,
                DATA_DURATION,
                DATA_LIMIT,
                DATA_CURSOR,
                DATA_SORT,
            ),
            data_schema=OBJECT,
            data=DATAPOINTS,
            subject=Subject.DEVICE_OF_PATH,
            is_of_streams=True,
        ),
    )


def _binary_routes(settings: NorthboundSettings) -> Sequence[CallRoute]:
    return (
        general(
            "POST",
            "/bindata",
            binaries.add,
            name="reportBinary",
            tag=_TAG,
            summary="Report binary data",
            parameters=(DEVICE_ID, DATASTREAM_ID, DESCRIPTION),
            body=raw_body("bytes of a picture", bytes_max=settings.binary_bytes_max),
            data_schema=OBJECT,
            data={"index": "1000001_1433312345678_picture"},
            subject=Subject.DEVICE_OF_QUERY,
            is_of_streams=True,
        ),
        general(
            "GET",
            "/bindata/{index}",
            binaries.show,
            name="showBinary",
            tag=_TAG,
            summary="Give binary data",
            subject=Subject.FOUND_BY_HANDLER,
            answers_with_bytes=True,
        ),
    )
