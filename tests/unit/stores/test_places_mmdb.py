"""Places out of a file in MaxMind's format, made here."""

import ipaddress
import os

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from mailwright.core.errors import InvalidInput
from mailwright.core.places import Place
from mailwright.stores.places_mmdb import MmdbPlaces
from mailwright.stores.populations import Populations

NEW_YORK = {
    "city": {"geoname_id": 5128581, "names": {"en": "New York", "de": "Neu York"}},
    "country": {"iso_code": "US"},
    "location": {"latitude": 40.7128, "longitude": -74.0061, "time_zone": "America/New_York"},
    "postal": {"code": "10001"},
    "subdivisions": [{"iso_code": "NY", "names": {"en": "New York"}}],
}
FLAT = {
    "city": "Lyon",
    "region": "Rhone",
    "country": "fr",
    "latitude": "45.75",
    "longitude": 4.85,
    "timezone": "Europe/Paris",
}


def written(path, records):
    writer = MMDBWriter(6, "Test-City", languages=["en"], ipv4_compatible=True)
    for network, record in records.items():
        writer.insert_network(IPSet([network]), record)
    temporary = path.with_suffix(".new")
    writer.to_db_file(str(temporary))
    temporary.rename(path)
    return path


def at(text):
    return ipaddress.ip_address(text)


def found(places, text):
    places.look_now()
    assert places.version >= 0
    return places.find(at(text))


def test_the_fields_of_maxmind_and_of_flat_files(tmp_path):
    path = written(
        tmp_path / "a.mmdb", {"198.51.100.0/24": NEW_YORK, "203.0.113.0/24": FLAT, "2001:db8::/32": NEW_YORK}
    )
    places = MmdbPlaces(path)
    new_york = Place(
        country="US",
        region="New York",
        region_code="NY",
        city="New York",
        postal_code="10001",
        latitude=40.7,
        longitude=-74.0,
        time_zone="America/New_York",
    )
    assert found(places, "198.51.100.7") == new_york
    assert found(places, "2001:db8::1") == new_york
    lyon = found(places, "203.0.113.1")
    assert (lyon.country, lyon.region, lyon.city, lyon.time_zone) == ("FR", "Rhone", "Lyon", "Europe/Paris")
    assert (lyon.latitude, lyon.longitude) == (45.8, 4.8)
    assert found(places, "192.0.2.1") is None


def test_a_file_that_is_replaced_is_opened_anew(tmp_path):
    path = written(tmp_path / "a.mmdb", {"198.51.100.0/24": NEW_YORK})
    places = MmdbPlaces(path)
    assert found(places, "198.51.100.7").city == "New York"
    before = places.version
    written(path, {"198.51.100.0/24": FLAT})
    os.utime(path, ns=(1, 1))
    assert found(places, "198.51.100.7").city == "Lyon"
    assert places.version > before


def test_a_file_that_is_missing_or_broken_costs_the_place_alone(tmp_path, caplog):
    path = tmp_path / "a.mmdb"
    places = MmdbPlaces(path)
    assert found(places, "198.51.100.7") is None
    path.write_bytes(b"this is no such file" * 10)
    assert found(places, "198.51.100.7") is None
    assert found(places, "198.51.100.7") is None
    assert len([line for line in caplog.messages if "place_file" in line]) == 2
    written(path, {"198.51.100.0/24": NEW_YORK})
    assert found(places, "198.51.100.7").city == "New York"
    path.write_bytes(b"broken again")
    assert found(places, "198.51.100.7") is None or found(places, "198.51.100.7").city == "New York"


GEONAMES = "\n".join(
    "\t".join(
        [
            number,
            name,
            name,
            "",
            "0",
            "0",
            "P",
            "PPL",
            country,
            "",
            region,
            "",
            "",
            "",
            people,
            "",
            "",
            "x",
            "2020-01-01",
        ]
    )
    for number, name, country, region, people in [
        ("5128581", "New York City", "US", "NY", "8800000"),
        ("1", "Springfield", "US", "IL", "114000"),
        ("2", "Springfield", "US", "VT", "9000"),
        ("3", "Malmö", "SE", "27", "350000"),
    ]
)
CSV = "city,country,population\nOslo,NO,700000\nAurland,NO,1800\n"


def table(tmp_path, text, urban_from=50_000):
    path = tmp_path / "cities.txt"
    path.write_text(text, encoding="utf-8")
    return Populations(path, urban_from)


def test_a_place_is_urban_or_rural_by_its_people(tmp_path):
    geonames = table(tmp_path, GEONAMES)
    assert geonames.area(5128581, "US", "NY", "New York") == "urban"
    assert geonames.area(None, "US", "IL", "Springfield") == "urban"
    assert geonames.area(None, "US", "VT", "springfield") == "rural"
    assert geonames.area(None, "US", "", "Springfield") == ""
    assert geonames.area(None, "SE", "M", "MALMO") == "urban"
    assert geonames.area(None, "SE", "M", "Nowhere") == ""


@pytest.mark.parametrize(("urban_from", "area"), [(700_000, "urban"), (700_001, "rural")])
def test_a_table_of_ones_own_and_its_threshold(tmp_path, urban_from, area):
    own = table(tmp_path, CSV, urban_from)
    assert own.area(None, "NO", "", "Oslo") == area
    assert own.area(None, "NO", "03", "Aurland") == "rural"


def test_the_place_carries_the_area(tmp_path):
    path = written(tmp_path / "a.mmdb", {"198.51.100.0/24": NEW_YORK})
    places = MmdbPlaces(path, table(tmp_path, GEONAMES))
    assert found(places, "198.51.100.7").area == "urban"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("city,people\nOslo,1\n", "no column 'country'"),
        ("city,country,population\nOslo,NO,many\n", "line 2: the population 'many'"),
        (GEONAMES + "\nshort\tline\n", "line 5 has 2 columns"),
    ],
)
def test_a_wrong_table_is_told_with_its_line_and_costs_no_event(tmp_path, text, message, caplog):
    with pytest.raises(InvalidInput, match=message):
        table(tmp_path, text).read()
    broken = table(tmp_path, text)
    assert broken.area(None, "XX", "", "Oslo") == ""
    assert broken.area(None, "XX", "", "Oslo") == ""
    assert len([line for line in caplog.messages if "population_file" in line]) == 1
