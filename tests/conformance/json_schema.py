"""The part of JSON Schema that OpenAPI documents here use: validates a value and says where it does not fit."""
import re

DATE_TIME = re.compile(r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$')
TYPES = {'object': dict, 'array': list, 'string': str, 'boolean': bool, 'null': type(None)}


class Schemas:
    def __init__(self, document):
        self.document = document

    def resolve(self, node):
        while '$ref' in node:
            target = self.document
            for part in node['$ref'].removeprefix('#/').split('/'):
                target = target[part]
            node = target
        return node

    def errors(self, value, schema, at='$'):
        """Texts, empty when the value fits."""
        schema = self.resolve(schema)
        out = []
        for keyword in ('type', 'enum', 'const', 'anyOf', 'oneOf', 'allOf', 'format'):
            if keyword in schema:
                out += getattr(self, 'check_' + keyword)(value, schema[keyword], at)
        if isinstance(value, dict):
            out += self.check_object(value, schema, at)
        if isinstance(value, list):
            out += self.check_array(value, schema, at)
        return out

    def check_type(self, value, wanted, at):
        for name in wanted if isinstance(wanted, list) else [wanted]:
            if name == 'number' and isinstance(value, (int, float)) and not isinstance(value, bool):
                return []
            if name == 'integer' and isinstance(value, int) and not isinstance(value, bool):
                return []
            if name in TYPES and isinstance(value, TYPES[name]):
                return []
        return [f'{at}: {type(value).__name__} is not of type {wanted}']

    def check_enum(self, value, wanted, at):
        return [] if value in wanted else [f'{at}: {value!r} is not among {wanted}']

    def check_const(self, value, wanted, at):
        return [] if value == wanted else [f'{at}: {value!r} is not {wanted!r}']

    def check_format(self, value, wanted, at):
        is_bad = wanted == 'date-time' and isinstance(value, str) and not DATE_TIME.match(value)
        return [f'{at}: {value!r} is not a date-time'] if is_bad else []

    def check_allOf(self, value, schemas, at):
        return [e for s in schemas for e in self.errors(value, s, at)]

    def check_anyOf(self, value, schemas, at):
        tries = [self.errors(value, s, at) for s in schemas]
        return [] if any(not t for t in tries) else [f'{at}: fits none of {len(tries)}: {min(tries, key=len)[0]}']

    def check_oneOf(self, value, schemas, at):
        fits = sum(not self.errors(value, s, at) for s in schemas)
        return [] if fits == 1 else [f'{at}: fits {fits} of {len(schemas)}, wanted one']

    def check_object(self, value, schema, at):
        properties = schema.get('properties', {})
        rest = schema.get('additionalProperties', True)
        out = [f'{at}: {k} is missing' for k in schema.get('required', []) if k not in value]
        for key, item in value.items():
            if key in properties:
                out += self.errors(item, properties[key], f'{at}.{key}')
            elif rest is False:
                out.append(f'{at}: {key} is unknown')
            elif isinstance(rest, dict):
                out += self.errors(item, rest, f'{at}.{key}')
        return out

    def check_array(self, value, schema, at):
        out = []
        if not schema.get('minItems', 0) <= len(value) <= schema.get('maxItems', len(value)):
            out.append(f'{at}: {len(value)} items')
        prefix = schema.get('prefixItems', [])
        for i, item in enumerate(value):
            if i < len(prefix):
                out += self.errors(item, prefix[i], f'{at}[{i}]')
            elif 'items' in schema:
                out += self.errors(item, schema['items'], f'{at}[{i}]')
        return out
