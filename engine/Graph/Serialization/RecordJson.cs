using System.Collections;
using System.Collections.Immutable;
using System.Globalization;
using System.Reflection;
using System.Text.Json;
using Tare.Graphs.Weights;

namespace Tare.Graphs.Serialization;

/// <summary>
/// Ops and their specs as JSON objects: one member a property that can be set, weights by name, enums by name, nested records as objects; members at their default value are left out. Reading trusts nothing:
/// unknown members and types, sizes beyond 2^24 and arrays beyond 2^20 are refused.
/// </summary>
internal static class RecordJson
{
    private const int MaximumSize = 1 << 24, MaximumItems = 1 << 20, MaximumDepth = 6;
    private const string TypeMember = "kind_of"; // of a property whose type is abstract

    /// <summary>Writes the members of a record into the open object.</summary>
    public static void Write(Utf8JsonWriter json, object record, Func<Weight, string> nameOf)
    {
        foreach (var property in Properties(record.GetType()))
        {
            object? value = property.GetValue(record);
            if (value is null || IsDefault(record.GetType(), property, value)) continue;
            json.WritePropertyName(NameOf(property));
            WriteValue(json, value, property.PropertyType, nameOf);
        }
    }

    /// <summary>Reads a record of the given type. Throws <see cref="GraphException"/>.</summary>
    public static object Read(JsonElement json, Type type, Func<string, Weight> weightOf, int depth = 0)
    {
        if (depth > MaximumDepth) throw new GraphException($"{type.Name}: objects lie too deep");
        if (json.ValueKind != JsonValueKind.Object) throw new GraphException($"{type.Name}: {json.ValueKind} is not an object");
        if (type.IsAbstract) type = Concrete(json, type);
        var properties = Properties(type).ToDictionary(NameOf, StringComparer.Ordinal);
        foreach (var member in json.EnumerateObject())
            if (!properties.ContainsKey(member.Name) && member.Name is not (TypeMember or "op" or "inputs" or "block")) throw new GraphException($"{type.Name}: member '{member.Name}' is not known");
        var constructor = Constructor(type);
        var parameters = constructor.GetParameters();
        var arguments = new object?[parameters.Length];
        for (int i = 0; i < parameters.Length; i++)
        {
            var property = properties.Values.First(p => p.Name == parameters[i].Name);
            properties.Remove(NameOf(property));
            arguments[i] = json.TryGetProperty(NameOf(property), out var value) ? ReadValue(value, property, type, weightOf, depth)
                : parameters[i].HasDefaultValue ? parameters[i].DefaultValue
                : Nullable(property) ? null : throw new GraphException($"{type.Name}: '{NameOf(property)}' is missing");
        }
        object record;
        try
        {
            record = constructor.Invoke(arguments);
        }
        catch (TargetInvocationException e)
        {
            throw new GraphException($"{type.Name}: {e.InnerException!.Message}");
        }
        foreach (var (name, property) in properties)
            if (json.TryGetProperty(name, out var value)) property.SetValue(record, ReadValue(value, property, type, weightOf, depth));
        return record;
    }

    private static void WriteValue(Utf8JsonWriter json, object value, Type declared, Func<Weight, string> nameOf)
    {
        switch (value)
        {
            case Weight weight: json.WriteStringValue(nameOf(weight)); break;
            case bool flag: json.WriteBooleanValue(flag); break;
            case int number: json.WriteNumberValue(number); break;
            case double number: json.WriteNumberValue(number); break;
            case Enum name: json.WriteStringValue(name.ToString()); break;
            case IEnumerable items:
                json.WriteStartArray();
                foreach (object? item in items)
                    if (item is null) json.WriteNullValue();
                    else WriteValue(json, item, item.GetType(), nameOf);
                json.WriteEndArray();
                break;
            default:
                json.WriteStartObject();
                if (declared.IsAbstract) json.WriteString(TypeMember, value.GetType().Name);
                Write(json, value, nameOf);
                json.WriteEndObject();
                break;
        }
    }

    private static object? ReadValue(JsonElement json, PropertyInfo property, Type owner, Func<string, Weight> weightOf, int depth)
    {
        try
        {
            return Value(json, property.PropertyType, weightOf, depth + 1);
        }
        catch (Exception e) when (e is InvalidOperationException or FormatException)
        {
            throw new GraphException($"{owner.Name}: '{NameOf(property)}' is {Show(json)}, which is no {property.PropertyType.Name}");
        }
    }

    private static object? Value(JsonElement json, Type type, Func<string, Weight> weightOf, int depth)
    {
        type = System.Nullable.GetUnderlyingType(type) ?? type;
        if (json.ValueKind == JsonValueKind.Null) return null;
        if (type.IsAssignableTo(typeof(Weight))) return weightOf(json.GetString()!);
        if (type == typeof(bool)) return json.GetBoolean();
        if (type == typeof(int)) return json.GetInt32() is >= -MaximumSize and <= MaximumSize and var number ? number : throw new FormatException();
        if (type == typeof(double)) return double.IsFinite(json.GetDouble()) ? json.GetDouble() : throw new FormatException();
        if (type.IsEnum) return json.ValueKind == JsonValueKind.String && Enum.GetNames(type).Contains(json.GetString()) ? Enum.Parse(type, json.GetString()!) : throw new FormatException();
        if (!type.IsGenericType || type.GetGenericTypeDefinition() != typeof(ImmutableArray<>)) return Read(json, type, weightOf, depth);
        if (json.GetArrayLength() > MaximumItems) throw new GraphException($"an array has {json.GetArrayLength()} items");
        var item = type.GetGenericArguments()[0];
        var items = Array.CreateInstance(item, json.GetArrayLength());
        for (int i = 0; i < items.Length; i++) items.SetValue(Value(json[i], item, weightOf, depth + 1), i);
        return typeof(ImmutableArray).GetMethods().First(m => m is { Name: nameof(ImmutableArray.Create), IsGenericMethodDefinition: true } && m.GetParameters() is [var only] && only.ParameterType.IsArray)
            .MakeGenericMethod(item).Invoke(null, [items]);
    }

    private static Type Concrete(JsonElement json, Type type)
    {
        string? name = json.TryGetProperty(TypeMember, out var member) && member.ValueKind == JsonValueKind.String ? member.GetString() : null;
        return type.Assembly.GetTypes().FirstOrDefault(t => t.Name == name && !t.IsAbstract && t.IsSubclassOf(type)) ?? throw new GraphException($"'{name}' is no {type.Name}");
    }

    // A record's own properties, in the order of their declaration.
    private static IEnumerable<PropertyInfo> Properties(Type type) => type.GetProperties(BindingFlags.Public | BindingFlags.Instance).Where(p => p.CanWrite);

    private static ConstructorInfo Constructor(Type type) => type.GetConstructors().OrderByDescending(c => c.GetParameters().Length).First();

    private static bool IsDefault(Type type, PropertyInfo property, object value)
    {
        if (value is IEnumerable items and not string) return !items.Cast<object?>().Any();
        var parameter = Constructor(type).GetParameters().FirstOrDefault(p => p.Name == property.Name);
        if (parameter is not null) return parameter.HasDefaultValue && value.Equals(parameter.DefaultValue);
        return value switch { int number => number == 0, bool flag => !flag, double => false, _ => false };
    }

    private static bool Nullable(PropertyInfo property) => System.Nullable.GetUnderlyingType(property.PropertyType) is not null || !property.PropertyType.IsValueType || property.PropertyType.IsGenericType;

    private static string NameOf(PropertyInfo property) => JsonNamingPolicy.SnakeCaseLower.ConvertName(property.Name);

    private static string Show(JsonElement json) => json.GetRawText() is { Length: <= 60 } text ? text : string.Create(CultureInfo.InvariantCulture, $"{json.ValueKind} of {json.GetRawText().Length} characters");
}
